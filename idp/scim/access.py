"""Who may write into a connection: a bearer token of it, or a machine to machine application with the scope `scim`."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from scim2_models import ForbiddenException, UnauthorizedException

from idp.connections import email_trust
from idp.crypto import own_tokens
from idp.http.requests import RequestFacts, facts
from idp.limits import guesses
from idp.limits.limiter import ENDPOINT
from idp.models import Provisioning
from idp.protocol.jwt_profile import Mismatch
from idp.scim import applications, tokens
from idp.scim.context import SCOPES, Writer
from idp.tenants import configuration

WHAT = "a provisioning token"
_EVERYTHING = frozenset(SCOPES)


def writer(request: HttpRequest, connection: str, at: datetime) -> Writer:
    """One answer for a connection that does not exist and a token of another one. Raises SCIMException, TooManyRequests."""
    raw, about = _bearer(request), facts(request)
    found = _by_token(raw, about, at) if raw.startswith("tok_") else _by_application(raw, connection, about, at)
    if found is None:
        guesses.count(about, ENDPOINT, WHAT, at)
        raise UnauthorizedException(detail="The token is not one of this connection, or it has expired.")
    if connection not in (found.connection.public_id, found.connection.name):
        raise ForbiddenException(detail="The token is for another connection.")
    if not found.connection.enabled:
        raise ForbiddenException(detail="The connection is disabled.")
    return found


def _bearer(request: HttpRequest) -> str:
    scheme, _, raw = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not raw.strip():
        raise UnauthorizedException(detail="Send Authorization: Bearer with a token of this connection.")
    return raw.strip()


def _by_token(raw: str, about: RequestFacts, at: datetime) -> Writer | None:
    row = tokens.find(raw, at)
    if row is None:
        return None
    return _writer(row.provisioning, row.token_id, frozenset(row.scopes), about, at)


def _by_application(raw: str, connection: str, about: RequestFacts, at: datetime) -> Writer | None:
    """An access token that an application got for itself, of one that the connection lets in."""
    try:
        claims = own_tokens.claims_of(own_tokens.ACCESS_TOKEN, raw, configuration.current())
    except Mismatch:
        return None
    if not applications.is_its_own(claims, at):
        return None
    for provisioning in applications.let_in(claims["client_id"]):
        if connection in (provisioning.connection.public_id, provisioning.connection.name):
            tokens.note_use(provisioning, at)
            return _writer(provisioning, str(claims["client_id"]), _EVERYTHING, about, at)
    return None


def _writer(
    provisioning: Provisioning, credential: str, scopes: frozenset[str], about: RequestFacts, at: datetime
) -> Writer:
    trusted = provisioning.connection.options.get(email_trust.OPTION) is True
    return Writer(provisioning, credential, scopes, about, at, trusted)
