"""GET and POST /userinfo (OpenID Connect Core section 5.3).

The token comes in the Authorization header or in the form of a POST (RFC 6750 sections 2.1 and 2.2), never in an address:
addresses are logged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from idp.crypto import keys
from idp.http.cors import cross_origin
from idp.http.middleware import for_programs
from idp.http.request_body import FORM
from idp.protocol.errors import InvalidRequest, InvalidToken, ProtocolError
from idp.protocol.standard_scopes import OPENID
from idp.views import protected_resource
from idp.views.errors import json_errors
from sessions_app.claims import issue
from sessions_app.claims.standard import known_claims
from sessions_app.oauth import dpop
from sessions_app.oauth.access import PresentedToken, access
from sessions_app.protocol import claims
from sessions_app.views.oauth.endpoint import body_params


def says_where_its_metadata_is(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """In the challenge of every refusal (RFC 9728 section 5.1)."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        response = view(request)
        if "WWW-Authenticate" in response.headers:
            response.headers["WWW-Authenticate"] += protected_resource.hint("userinfo")
        return response

    return wrapped


@for_programs
@login_not_required
@csrf_exempt
@cross_origin("GET", "POST")
@says_where_its_metadata_is
@json_errors
def userinfo(request: HttpRequest) -> HttpResponse:
    if request.method not in ("GET", "HEAD", "POST"):
        raise InvalidRequest("Only GET and POST are allowed here.", status=405)
    at = timezone.now()
    scheme, raw = _token(request)
    found = access(raw, at)
    dpop.check_access(found.jkt, scheme, request, raw, at)
    return dpop.hand_nonce(request, _answer(found, at), at)


def _answer(found: PresentedToken, at: datetime) -> HttpResponse:
    claims, algorithm = _claims(found, at), found.application.userinfo_signed_response_alg
    return _signed(claims, found.application.client_id, algorithm) if algorithm else JsonResponse(claims)


def _signed(claims: dict[str, Any], client_id: str, algorithm: str) -> HttpResponse:
    """A JWT for the one application that registered to get one (section 5.3.2). Without `exp`, it is no ID token."""
    body = {**claims, "iss": settings.ISSUER, "aud": client_id}
    return HttpResponse(keys.sign(body, algorithm=algorithm), content_type="application/jwt")


def _token(request: HttpRequest) -> tuple[str, str]:
    """Its scheme, and the token itself."""
    scheme, _, in_header = request.headers.get("Authorization", "").partition(" ")
    in_form = ""
    if request.method == "POST" and request.content_type == FORM:
        in_form = body_params(request).get("access_token", "")
    if in_header and in_form:
        raise InvalidRequest("The access token is given twice.")
    scheme = "bearer" if in_form else scheme.lower()
    raw = in_form or (in_header.strip() if scheme in ("bearer", "dpop") else "")
    if not raw:
        raise InvalidToken("An access token is needed in the Authorization header.")
    return scheme, raw


def _claims(token: PresentedToken, at: datetime) -> dict[str, Any]:
    if OPENID not in token.scope:
        raise ProtocolError("The scope openid is needed.", error="insufficient_scope", status=403)
    known = claims.select(known_claims(token.user), token.scope, token.claims)
    return {**known, **issue.tell(token.subject(at), issue.USERINFO, token.claims), "sub": token.sub}
