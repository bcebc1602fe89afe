"""GET and POST /userinfo (OpenID Connect Core section 5.3). The token comes in the Authorization header only."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from idp.cors import cross_origin
from idp.protocol.errors import InvalidRequest, InvalidToken, ProtocolError
from idp.views.errors import json_errors
from sessions_app import minting
from sessions_app.access import Bearer, bearer
from sessions_app.protocol import claims, scopes


@login_not_required
@csrf_exempt
@cross_origin("GET", "POST")
@json_errors
def userinfo(request: HttpRequest) -> HttpResponse:
    if request.method not in ("GET", "HEAD", "POST"):
        raise InvalidRequest("Only GET and POST are allowed here.", status=405)
    scheme, _, raw = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not raw.strip():
        raise InvalidToken("An access token is needed in the Authorization header.")
    return JsonResponse(_claims(bearer(raw.strip(), timezone.now())))


def _claims(token: Bearer) -> dict[str, Any]:
    if scopes.OPENID not in token.scope:
        raise ProtocolError("The scope openid is needed.", error="insufficient_scope", status=403)
    return {"sub": token.user.user_id, **claims.select(minting.known_claims(token.user), token.scope, token.claims)}
