"""`POST /oauth/global-token-revocation/connection/{name}`: an identity provider upstream says that somebody must be out."""

from __future__ import annotations

import contextlib

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from idp import limiter
from idp.middleware import for_programs
from idp.protocol.errors import InvalidRequest
from idp.requests import facts
from idp.views.errors import json_errors
from logout_app import gtr
from logout_app.protocol.gtr import LONGEST_BODY

RETRY_SOON = 5  # seconds


@for_programs
@csrf_exempt
@login_not_required
def global_token_revocation(request: HttpRequest, connection: str) -> HttpResponse:
    response = _answer(request, connection)
    if response.status_code == 405:
        response.headers["Allow"] = "POST"
    elif response.status_code == 429:
        response.headers["Retry-After"] = str(limiter.seconds_left(gtr.FAILURES, timezone.now()))
    elif response.status_code == 503:
        response.headers["Retry-After"] = str(RETRY_SOON)
    return response


def _body(request: HttpRequest) -> bytes:
    with contextlib.suppress(RequestDataTooBig):
        body = request.read(LONGEST_BODY + 1)
        if len(body) <= LONGEST_BODY:
            return body
    raise InvalidRequest(f"The body may have {LONGEST_BODY} bytes.", status=413)


@json_errors
def _answer(request: HttpRequest, connection: str) -> HttpResponse:
    at = timezone.now()
    if request.method != "POST":
        raise InvalidRequest("Only POST is allowed here.", status=405)
    if request.content_type != "application/json":
        raise InvalidRequest("Send application/json.", status=415)
    body = _body(request)
    gtr.receive(gtr.Request(connection, request.headers.get("Authorization", ""), body, facts(request)), at)
    return HttpResponse(status=204)
