"""A bearer token that is presented to /userinfo: opaque, checked in the database, or one of our own JWTs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from idp.crypto import own_tokens
from idp.crypto.own_tokens import ACCESS_TOKEN
from idp.models import Application, User, began_before
from idp.protocol.errors import InvalidToken
from idp.protocol.jwt_profile import audiences
from idp.tenants import configuration
from idp.tenants.configuration import Snapshot
from sessions_app.claims.context import Subject
from sessions_app.models import SSOSession
from sessions_app.oauth import minting
from sessions_app.oauth.introspection import load_access_token
from sessions_app.protocol import scopes
from sessions_app.session.gate import may_use

_INVALID = "The access token is invalid, expired or revoked."


@dataclass(frozen=True, slots=True)
class Bearer:
    user: User
    application: Application
    session: SSOSession | None
    snapshot: Snapshot
    scope: list[str]
    claims: list[str]  # asked by name in the authorization request

    def subject(self, at: datetime) -> Subject:
        auth_time = self.session.auth_time if self.session else None
        return Subject(self.application, self.user, self.session, auth_time, self.snapshot, self.scope, at)


def bearer(raw: str, at: datetime) -> Bearer:
    """The person and what may be told about them, or InvalidToken."""
    if raw.count(".") == 2:
        return _jwt(raw, at)
    token = load_access_token(raw)
    if token is None or token.is_expired() or token.user is None:
        raise InvalidToken(_INVALID)
    asked = minting.claims_of(token.code.claims).get("userinfo", {}) if token.code else {}
    snapshot = configuration.at(token.config_version)
    session = token.session or (token.family.session if token.family else None)
    return Bearer(token.user, token.application, session, snapshot, scopes.split(token.scope), list(asked))


def _jwt(raw: str, at: datetime) -> Bearer:
    try:
        claims = own_tokens.claims_of(ACCESS_TOKEN, raw, configuration.current())
    except ValueError as error:
        raise InvalidToken(_INVALID, detail=str(error)) from None
    if f"{settings.ISSUER}userinfo" not in audiences(claims):
        raise InvalidToken(_INVALID, detail="not meant for /userinfo")
    if claims["exp"] <= at.timestamp():
        raise InvalidToken(_INVALID)
    user, application, session, snapshot = _living(claims, at)
    return Bearer(user, application, session, snapshot, scopes.split(claims.get("scope", "")), [])


def _living(claims: Mapping[str, Any], at: datetime) -> tuple[User, Application, SSOSession | None, Snapshot]:
    """Our own endpoint asks the parents of a JWT too, though other APIs cannot."""
    people = User.objects.filter(user_id=claims["sub"], is_active=True)
    user = people.annotate(config_version=configuration.VERSION).first()
    began = datetime.fromtimestamp(claims.get("auth_time", claims["iat"]), UTC)
    if user is None or began_before(began, user.revoked_before):
        raise InvalidToken(_INVALID)
    snapshot = configuration.at(user.config_version)
    application = snapshot.application(claims["client_id"])
    session = None
    if "sid" in claims:
        session = SSOSession.objects.select_related("user").filter(sid=claims["sid"]).first()
        if session is None or not session.is_alive(at):
            raise InvalidToken(_INVALID)
    if application is None or not application.enabled or not may_use(application, session, user, snapshot):
        raise InvalidToken(_INVALID)
    return user, application, session, snapshot
