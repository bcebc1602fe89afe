"""A bearer token that is presented to /userinfo: opaque, checked in the database, or one of our own JWTs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from idp.crypto import own_tokens
from idp.crypto.own_tokens import ACCESS_TOKEN
from idp.models import User, began_before
from idp.protocol.errors import InvalidToken
from idp.protocol.jwt_profile import audiences
from idp.tenants import configuration
from sessions_app.models import RefreshTokenFamily, SSOSession
from sessions_app.oauth import minting
from sessions_app.oauth.introspection import load_access_token
from sessions_app.protocol import scopes
from sessions_app.session.gate import may_use

SECOND = timedelta(seconds=1)
_INVALID = "The access token is invalid, expired or revoked."


@dataclass(frozen=True, slots=True)
class Bearer:
    user: User
    scope: list[str]
    claims: list[str]  # asked by name in the authorization request


def bearer(raw: str, at: datetime) -> Bearer:
    """The person and what may be told about them, or InvalidToken."""
    if raw.count(".") == 2:
        return _jwt(raw, at)
    token = load_access_token(raw)
    if token is None or token.is_expired() or token.user is None:
        raise InvalidToken(_INVALID)
    asked = minting.claims_of(token.code.claims).get("userinfo", {}) if token.code else {}
    return Bearer(token.user, scopes.split(token.scope), list(asked))


def _jwt(raw: str, at: datetime) -> Bearer:
    try:
        claims = own_tokens.claims_of(ACCESS_TOKEN, raw, configuration.current())
    except ValueError as error:
        raise InvalidToken(_INVALID, detail=str(error)) from None
    if f"{settings.ISSUER}userinfo" not in audiences(claims):
        raise InvalidToken(_INVALID, detail="not meant for /userinfo")
    if claims["exp"] <= at.timestamp():
        raise InvalidToken(_INVALID)
    return Bearer(_living_user(claims, at), scopes.split(claims.get("scope", "")), [])


def _living_user(claims: Mapping[str, Any], at: datetime) -> User:
    """Our own endpoint asks the parents of a JWT too, though other APIs cannot."""
    people = User.objects.filter(user_id=claims["sub"], is_active=True)
    user = people.annotate(config_version=configuration.VERSION).first()
    if user is None:
        raise InvalidToken(_INVALID)
    snapshot = configuration.at(user.config_version)
    application = snapshot.application(_client(claims))
    session = None
    if "sid" in claims:
        session = SSOSession.objects.select_related("user").filter(sid=claims["sid"]).first()
        if session is None or not session.is_alive(at):
            raise InvalidToken(_INVALID)
    if _is_revoked(claims, user, session):
        raise InvalidToken(_INVALID)
    if application is None or not application.enabled or not may_use(application, session, user, snapshot):
        raise InvalidToken(_INVALID)
    return user


def _client(claims: Mapping[str, Any]) -> str:
    """Who asked for the token, in the claim of either dialect (`token_dialects.client_claim`)."""
    return str(claims.get("client_id") or claims.get("azp", ""))


def _is_revoked(claims: Mapping[str, Any], user: User, session: SSOSession | None) -> bool:
    """Whether the sign-in behind a JWT is older than the person's mark.

    Claims have whole seconds. In the second of the mark the rows that the token came from know which was first.
    """
    mark = user.revoked_before
    began = datetime.fromtimestamp(claims.get("auth_time", claims["iat"]), UTC)
    if mark is None or began > mark:
        return False
    if began + SECOND <= mark:
        return True
    if session is not None:
        return began_before(session.auth_time, mark)
    since = RefreshTokenFamily.objects.filter(
        user=user,
        application__client_id=_client(claims),
        revoked_at=None,
        auth_time__gt=mark,
        auth_time__lt=began + SECOND,
    )
    return not since.exists()
