"""An access token that is presented to /userinfo: opaque, checked in the database, or one of our own JWTs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from idp.applications.subjects import subject_for
from idp.crypto import own_tokens
from idp.crypto.own_tokens import ACCESS_TOKEN, PERSON
from idp.models import Application, User, began_before
from idp.protocol.errors import InvalidToken
from idp.protocol.jwt_profile import audiences
from idp.tenants import configuration
from idp.tenants.configuration import Snapshot
from sessions_app.claims.context import ClaimSubject
from sessions_app.models import RefreshTokenFamily, SSOSession
from sessions_app.oauth import minting
from sessions_app.oauth.introspection import load_access_token
from sessions_app.protocol import scopes
from sessions_app.session.gate import may_use

SECOND = timedelta(seconds=1)
_INVALID = "The access token is invalid, expired or revoked."


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """What a living token allows. `sub`: as its application knows the person; `jkt`: the key that it is bound to, or ""."""

    user: User
    sub: str
    application: Application  # that asks
    session: SSOSession | None
    snapshot: Snapshot
    scope: list[str]
    claims: list[str]  # asked by name in the authorization request
    jkt: str = ""

    def subject(self, at: datetime) -> ClaimSubject:
        auth_time = self.session.auth_time if self.session else None
        return ClaimSubject(self.application, self.user, self.session, auth_time, self.snapshot, self.scope, at)


def access(raw: str, at: datetime) -> PresentedToken:
    """The person and what may be told about them, or InvalidToken. Whether the bearer may use it is `dpop.check_access`."""
    if raw.count(".") == 2:
        return _jwt(raw, at)
    token = load_access_token(raw)
    if token is None or token.is_expired() or token.user is None or token.application is None:
        raise InvalidToken(_INVALID)
    asked = minting.claims_of(token.code.claims).get("userinfo", {}) if token.code else {}
    snapshot = configuration.at(token.config_version)
    session = token.session or (token.family.session if token.family else None)
    sub, scope = subject_for(token.user.user_id, token.application, snapshot), scopes.split(token.scope)
    return PresentedToken(token.user, sub, token.application, session, snapshot, scope, list(asked), token.dpop_jkt)


def _jwt(raw: str, at: datetime) -> PresentedToken:
    try:
        claims = own_tokens.claims_of(ACCESS_TOKEN, raw, configuration.current())
        people = _people(claims)
    except ValueError as error:
        raise InvalidToken(_INVALID, detail=str(error)) from None
    if f"{settings.ISSUER}userinfo" not in audiences(claims):
        raise InvalidToken(_INVALID, detail="not meant for /userinfo")
    if claims["exp"] <= at.timestamp():
        raise InvalidToken(_INVALID)
    user, application, session, snapshot = _living_parents(people, claims, at)
    scope, jkt = scopes.split(claims.get("scope", "")), claims.get("cnf", {}).get("jkt", "")
    return PresentedToken(user, claims["sub"], application, session, snapshot, scope, [], jkt)


def _people(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The one person that it is about; who a pairwise sub is only we can say. Raises Mismatch."""
    if PERSON in claims:
        return {"pk": own_tokens.referred_to(claims[PERSON], _client_id(claims))}
    return {"user_id": claims["sub"]}


def _client_id(claims: Mapping[str, Any]) -> str:
    """Auth0's profile of access tokens has another name for it than RFC 9068."""
    return str(claims.get("client_id") or claims.get("azp", ""))


def _living_parents(
    who: Mapping[str, Any], claims: Mapping[str, Any], at: datetime
) -> tuple[User, Application, SSOSession | None, Snapshot]:
    """Our own endpoint asks the parents of a JWT too, though other APIs cannot."""
    people = User.objects.filter(**who, is_active=True)
    user = people.annotate(config_version=configuration.VERSION).first()
    if user is None:
        raise InvalidToken(_INVALID)
    snapshot = configuration.at(user.config_version)
    application = snapshot.application(_client_id(claims))
    session = None
    if "sid" in claims:
        session = SSOSession.objects.select_related("user").filter(sid=claims["sid"]).first()
        if session is None or not session.is_alive(at):
            raise InvalidToken(_INVALID)
    if application is None or not application.enabled or not may_use(application, session, user, snapshot):
        raise InvalidToken(_INVALID)
    if _is_revoked(claims, application, user, session):
        raise InvalidToken(_INVALID)
    return user, application, session, snapshot


def _is_revoked(claims: Mapping[str, Any], application: Application, user: User, session: SSOSession | None) -> bool:
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
        application__client_id=application.client_id,
        revoked_at=None,
        auth_time__gt=mark,
        auth_time__lt=began + SECOND,
    )
    return not since.exists()
