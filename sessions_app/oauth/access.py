"""An access token that is presented to /userinfo: opaque, checked in the database, or one of our own JWTs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from idp.applications.subjects import subject_for
from idp.crypto import own_tokens
from idp.crypto.own_tokens import ACCESS_TOKEN, PERSON
from idp.models import User, began_before
from idp.protocol.errors import InvalidToken
from idp.protocol.jwt_profile import audiences
from idp.tenants import configuration
from sessions_app.models import SSOSession
from sessions_app.oauth import minting
from sessions_app.oauth.introspection import load_access_token
from sessions_app.protocol import scopes
from sessions_app.session.gate import may_use

_INVALID = "The access token is invalid, expired or revoked."


@dataclass(frozen=True, slots=True)
class Access:
    """What a living token allows. `sub`: as its application knows the person; `jkt`: the key that it is bound to, or ""."""

    user: User
    sub: str
    scope: list[str]
    claims: list[str]  # asked by name in the authorization request
    jkt: str = ""


def access(raw: str, at: datetime) -> Access:
    """The person and what may be told about them, or InvalidToken. Whether the bearer may use it is `dpop.check_access`."""
    if raw.count(".") == 2:
        return _jwt(raw, at)
    token = load_access_token(raw)
    if token is None or token.is_expired() or token.user is None or token.application is None:
        raise InvalidToken(_INVALID)
    asked = minting.claims_of(token.code.claims).get("userinfo", {}) if token.code else {}
    version: int | None = getattr(token, "config_version", None)
    sub = subject_for(token.user.user_id, token.application, configuration.at(version))
    return Access(token.user, sub, scopes.split(token.scope), list(asked), token.dpop_jkt)


def _jwt(raw: str, at: datetime) -> Access:
    try:
        claims = own_tokens.claims_of(ACCESS_TOKEN, raw, configuration.current())
        people = _people(claims)
    except ValueError as error:
        raise InvalidToken(_INVALID, detail=str(error)) from None
    if f"{settings.ISSUER}userinfo" not in audiences(claims):
        raise InvalidToken(_INVALID, detail="not meant for /userinfo")
    if claims["exp"] <= at.timestamp():
        raise InvalidToken(_INVALID)
    jkt = claims.get("cnf", {}).get("jkt", "")
    return Access(_living_user(people, claims, at), claims["sub"], scopes.split(claims.get("scope", "")), [], jkt)


def _people(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The one person that it is about; who a pairwise sub is only we can say. Raises Mismatch."""
    if PERSON in claims:
        return {"pk": own_tokens.referred_to(claims[PERSON], claims["client_id"])}
    return {"user_id": claims["sub"]}


def _living_user(who: Mapping[str, Any], claims: Mapping[str, Any], at: datetime) -> User:
    """Our own endpoint asks the parents of a JWT too, though other APIs cannot."""
    people = User.objects.filter(**who, is_active=True)
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
    return user
