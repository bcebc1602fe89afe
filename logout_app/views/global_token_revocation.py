"""`POST /oauth/global-token-revocation`: an identity provider upstream says that somebody must be out. Below
`/connection/{name}` is the same for one connection, by which its issuer need not be known."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from idp.http import request_body
from idp.http.middleware import for_programs
from idp.http.requests import facts
from idp.limits import limiter
from idp.protocol.errors import InvalidRequest
from idp.views.errors import json_errors
from logout_app.gtr import revocation
from logout_app.protocol.gtr import LONGEST_BODY

RETRY_SOON = 5  # seconds


@for_programs
@csrf_exempt
@login_not_required
def global_token_revocation(request: HttpRequest, connection: str | None = None) -> HttpResponse:
    response = _answer(request, connection)
    if response.status_code == 405:
        response.headers["Allow"] = "POST"
    elif response.status_code == 429:
        response.headers["Retry-After"] = str(limiter.seconds_left(revocation.FAILURES, timezone.now()))
    elif response.status_code == 503:
        response.headers["Retry-After"] = str(RETRY_SOON)
    return response


@json_errors
def _answer(request: HttpRequest, connection: str | None) -> HttpResponse:
    at = timezone.now()
    if request.method != "POST":
        raise InvalidRequest("Only POST is allowed here.", status=405)
    body = request_body.read(request, request_body.JSON, largest=LONGEST_BODY)
    revocation.receive(
        revocation.Request(connection, request.headers.get("Authorization", ""), body, facts(request)), at
    )
    return HttpResponse(status=204)
