"""What the OAuth endpoints for programs have in common: bodies, client authentication, CORS, errors, counted failures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from idp.applications import client_auth
from idp.http import request_body
from idp.http.cors import cross_origin
from idp.http.middleware import for_programs
from idp.http.requests import facts
from idp.limits import guesses, limiter
from idp.models import Application
from idp.protocol.errors import InvalidClient, InvalidRequest
from idp.protocol.params import Params
from idp.tenants import configuration
from idp.views.errors import json_errors

View = Callable[[HttpRequest], HttpResponse]
# Wrong client secrets from one network in five minutes. Only further failures are refused for it, never a right secret.
# Unknown codes and tokens are not counted: after a sign-out everywhere an honest application sends hundreds of them.
CLIENT_FAILURES = limiter.Limit("client", 15, 300)


def program_endpoint(view: View) -> View:
    """A POST endpoint for programs: no login, no CSRF, CORS, JSON errors; failures are counted, successes cost nothing."""

    @for_programs
    @login_not_required
    @csrf_exempt
    @cross_origin("POST")
    @json_errors
    @functools.wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            raise MethodNotAllowed
        try:
            return view(request)
        except InvalidClient:
            _count(request, timezone.now())
            raise

    return wrapped


class MethodNotAllowed(InvalidRequest):
    status = 405

    def __init__(self) -> None:
        super().__init__("Only POST is allowed here.")


def body_params(request: HttpRequest) -> Params:
    """The parameters of a form or JSON body, each once; the query string is not looked at (RFC 6749 section 3.2)."""
    params = request_body.form_or_json(request)
    params.refuse_duplicates()
    return params


def authenticate_client(request: HttpRequest, params: Params, at: datetime) -> Application:
    """The client, for endpoints that look nothing up before."""
    credentials = client_auth.read(request.headers, params)
    return client_auth.check(credentials, configuration.current().application(credentials.client_id), at=at)


def _count(request: HttpRequest, at: datetime) -> None:
    guesses.count(facts(request), CLIENT_FAILURES, "client secret", at)
