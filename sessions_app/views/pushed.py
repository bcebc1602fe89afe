"""POST /oauth/par (RFC 9126): an authorization request comes from the application itself; the browser brings its name only."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from idp.applications import client_auth
from idp.http.requests import facts
from idp.tenants import configuration
from sessions_app.oauth import dpop, pushed
from sessions_app.views.oauth.endpoint import body_params, program_endpoint


@program_endpoint
def push(request: HttpRequest) -> HttpResponse:
    params, at = body_params(request), timezone.now()
    presented = dpop.of_pushed_request(request, at)
    snapshot = configuration.current()
    application = client_auth.check(client_auth.read(request.headers, params), snapshot, at=at)
    made = pushed.push(params, application, snapshot, jkt=presented.spent(), facts=facts(request), at=at)
    answer = JsonResponse(
        {"request_uri": made.request_uri, "expires_in": made.expires_in},
        status=201,
        headers={"Cache-Control": "no-store"},
    )
    return dpop.hand_nonce(request, answer, at)
