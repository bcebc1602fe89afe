"""Who asks: an application with a client grant for this API, or by it a person whose roles have its permissions.

The token says what was granted; what stands now is asked again with every request, so that a grant or a role that is taken
away holds at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from idp.applications import management_api
from idp.directory import entitlements
from idp.http.requests import RequestFacts, facts
from idp.limits import guesses, limiter
from idp.models import Application, ClientGrant, User
from idp.tenants import configuration
from logout_app.api.frame.errors import INVALID, MISSING, unauthorized
from sessions_app.models import AccessToken
from sessions_app.oauth import dpop
from sessions_app.oauth.introspection import load_access_token

WHAT = "a token of the Management API"
LONGEST_TOKEN = 5000


@dataclass(frozen=True, slots=True)
class Caller:
    """`user` is None where an application acts for itself."""

    application: Application
    user: User | None
    scopes: frozenset[str]
    facts: RequestFacts

    @property
    def actor(self) -> str:
        return f"admin:{self.user.user_id}" if self.user else f"app:{self.application.client_id}"

    @property
    def key(self) -> str:
        """Whose pace it is."""
        return self.actor


def caller_of(request: HttpRequest, at: datetime) -> Caller:
    """Raises ApiError with 401, or TooManyRequests for a network that guesses."""
    scheme, _, raw = request.headers.get("Authorization", "").partition(" ")
    scheme, raw = scheme.lower(), raw.strip()
    if scheme not in ("bearer", "dpop") or not raw:
        raise unauthorized(MISSING)
    about = facts(request)
    token = _load(raw)
    if token is None:
        guesses.count(about, limiter.ENDPOINT, WHAT, at)
        raise unauthorized(INVALID)
    if token.audience != management_api.audience() or token.application is None:
        raise unauthorized("Bad audience")
    if token.is_expired():
        raise unauthorized("Expired token received for JSON Web Token validation")
    dpop.check_access(token.dpop_jkt, scheme, request, raw, at)
    return Caller(token.application, token.user, frozenset(token.scope.split()) & _stands(token), about)


def _load(raw: str) -> AccessToken | None:
    """JWTs are none of ours: tokens of this API are opaque."""
    return load_access_token(raw) if len(raw) <= LONGEST_TOKEN and raw.isascii() and "." not in raw else None


def _stands(token: AccessToken) -> frozenset[str]:
    snapshot = configuration.at(token.config_version)
    api = snapshot.resource_server(management_api.audience())
    if api is None:
        return frozenset()
    grant = ClientGrant.objects.filter(application=token.application_id, resource_server=api.pk)
    granted = frozenset(scope for scopes in grant.values_list("scope", flat=True) for scope in scopes)
    if token.user is None:
        return granted & api.scope_values
    # Not every application that somebody with such a role is lured into may act as them.
    return granted & frozenset(entitlements.permissions_of(token.user, api, snapshot))
