"""POST /oauth/token: parse, authenticate the client, dispatch by grant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from idp.applications import client_auth
from idp.http.requests import facts
from idp.protocol.errors import UnsupportedGrantType
from idp.protocol.grant_types import DEVICE_CODE
from idp.protocol.params import Params
from sessions_app.oauth import device, refresh, toolkit
from sessions_app.oauth.tokens import CodeRequest, exchange_code
from sessions_app.protocol import scopes
from sessions_app.views.oauth.endpoint import authenticate_client, body_params, program_endpoint

Handler = Callable[[HttpRequest, Params, datetime], dict[str, Any]]


@program_endpoint
def token(request: HttpRequest) -> HttpResponse:
    params = body_params(request)
    handler = GRANTS.get(params.require("grant_type"))
    if handler is None:
        authenticate_client(request, params, timezone.now())
        raise UnsupportedGrantType("This grant type is not supported.")
    return _answer(handler(request, params, timezone.now()))


def _authorization_code(request: HttpRequest, params: Params, at: datetime) -> dict[str, Any]:
    asked = CodeRequest(
        code=params.require("code"),
        redirect_uri=params.require("redirect_uri"),
        code_verifier=params.get("code_verifier", ""),
        resources=tuple(params.all("resource")),
    )
    return exchange_code(asked, client_auth.read(request.headers, params), facts(request), at)


def _refresh_token(request: HttpRequest, params: Params, at: datetime) -> dict[str, Any]:
    asked = refresh.RefreshRequest(
        token=params.require("refresh_token"),
        scope=scopes.split(params.get("scope", "")),
        resources=tuple(params.all("resource")),
    )
    return refresh.exchange(asked, client_auth.read(request.headers, params), facts(request), at)


def _client_credentials(request: HttpRequest, params: Params, at: datetime) -> dict[str, Any]:
    application = authenticate_client(request, params, at)
    return toolkit.client_credentials(request, params, application, at)


def _device_code(request: HttpRequest, params: Params, at: datetime) -> dict[str, Any]:
    return device.exchange(params.require("device_code"), client_auth.read(request.headers, params), facts(request), at)


GRANTS: dict[str, Handler] = {
    "authorization_code": _authorization_code,
    "refresh_token": _refresh_token,
    "client_credentials": _client_credentials,
    DEVICE_CODE: _device_code,
}


def _answer(body: dict[str, Any]) -> HttpResponse:
    return JsonResponse(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})
