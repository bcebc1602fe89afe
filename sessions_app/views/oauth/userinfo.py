"""GET and POST /userinfo (OpenID Connect Core section 5.3).

The token comes in the Authorization header or in the form of a POST (RFC 6750 sections 2.1 and 2.2), never in an address:
addresses are logged.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from idp.http.cors import cross_origin
from idp.http.middleware import for_programs
from idp.http.request_body import FORM
from idp.protocol.errors import InvalidRequest, InvalidToken, ProtocolError
from idp.protocol.standard_scopes import OPENID
from idp.views.errors import json_errors
from sessions_app.claims import issue
from sessions_app.claims.standard import known_claims
from sessions_app.oauth.access import Bearer, bearer
from sessions_app.protocol import claims
from sessions_app.views.oauth.endpoint import body_params


@for_programs
@login_not_required
@csrf_exempt
@cross_origin("GET", "POST")
@json_errors
def userinfo(request: HttpRequest) -> HttpResponse:
    if request.method not in ("GET", "HEAD", "POST"):
        raise InvalidRequest("Only GET and POST are allowed here.", status=405)
    at = timezone.now()
    return JsonResponse(_claims(bearer(_token(request), at), at))


def _token(request: HttpRequest) -> str:
    scheme, _, in_header = request.headers.get("Authorization", "").partition(" ")
    in_form = ""
    if request.method == "POST" and request.content_type == FORM:
        in_form = body_params(request).get("access_token", "")
    if in_header and in_form:
        raise InvalidRequest("The access token is given twice.")
    raw = in_form or (in_header.strip() if scheme.lower() == "bearer" else "")
    if not raw:
        raise InvalidToken("An access token is needed in the Authorization header.")
    return raw


def _claims(token: Bearer, at: datetime) -> dict[str, Any]:
    if OPENID not in token.scope:
        raise ProtocolError("The scope openid is needed.", error="insufficient_scope", status=403)
    known = claims.select(known_claims(token.user), token.scope, token.claims)
    return {**known, **issue.tell(token.subject(at), issue.USERINFO, token.claims), "sub": token.user.user_id}
