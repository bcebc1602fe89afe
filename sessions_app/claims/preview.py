"""What somebody's tokens would say at an application, without issuing one: by the functions that issue them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from idp.directory import entitlements
from idp.models import Application, ResourceServer, User
from idp.protocol.standard_scopes import OPENID
from idp.tenants.configuration import Snapshot
from sessions_app.claims import issue
from sessions_app.claims.issue import ACCESS_TOKEN, ID_TOKEN, USERINFO, ClaimSubject, Told
from sessions_app.claims.standard import known_claims
from sessions_app.models import SSOSession
from sessions_app.protocol import claims, scopes
from sessions_app.session.gate import may_use

OF_A_PREVIEW = "preview"  # in place of what only a real sign-in has


@dataclass(frozen=True, slots=True)
class Preview:
    may_use: bool
    scope: list[str]
    id_token: Mapping[str, Any]
    userinfo: Mapping[str, Any]
    access_token: Mapping[str, Any]
    is_opaque: bool  # then `access_token` is what introspection adds
    left_out: dict[str, str] = field(default_factory=dict)


def preview(
    application: Application, user: User, api: ResourceServer | None, asked: list[str], snapshot: Snapshot, at: datetime
) -> Preview:
    session = session_as_now(user, at)
    granted = scopes.grant(asked, api.scope_values if api else ())
    if api and api.enforce_policies:
        granted = scopes.allowed(granted, api.scope_values, entitlements.permissions_of(user, api, snapshot))
    subject = ClaimSubject(application, user, session, session.auth_time, snapshot, granted, at)
    told = {place: issue.told(subject, place) for place in (ID_TOKEN, USERINFO, ACCESS_TOKEN)}
    standard = claims.select(known_claims(user), granted)
    return Preview(
        may_use=may_use(application, session, user, snapshot),
        scope=granted,
        id_token=_id_token(subject, standard | told[ID_TOKEN].claims),
        userinfo={**standard, **told[USERINFO].claims, "sub": user.user_id},
        access_token=_access_token(subject, api, told[ACCESS_TOKEN]),
        is_opaque=api is None or not api.issues_jwts,
        left_out={claim: reason for each in told.values() for claim, reason in each.left_out.items()},
    )


def session_as_now(user: User, at: datetime) -> SSOSession:
    """The person's newest one, or one as a sign-in by their newest account would make it, which is not saved."""
    live = SSOSession.objects.live(at).filter(user=user).select_related("identity", "connection").order_by("-auth_time")
    if (session := live.first()) is not None:
        session.user = user
        return session
    identity = user.identities.select_related("connection").order_by("-last_login_at", "-pk").first()
    return SSOSession(
        sid=OF_A_PREVIEW,
        user=user,
        identity=identity,
        connection=identity.connection if identity else None,
        created_at=at,
        auth_time=at,
        expires_at=at,
        amr=[{"name": "pwd"}],
    )


def _id_token(subject: ClaimSubject, profile: Mapping[str, Any]) -> dict[str, Any]:
    session = subject.session
    assert session is not None  # noqa: S101  `session_as_now` gives one
    who = claims.Authentication(subject.user.user_id, session.sid, session.auth_time, claims.methods(session.amr))
    token = claims.id_token(
        who,
        issuer=settings.ISSUER,
        client_id=subject.application.client_id,
        at=subject.at,
        lifetime=subject.application.usable.id_token_lifetime,
        access_token=OF_A_PREVIEW,
        profile=profile,
    )
    return {name: value for name, value in token.items() if name != "at_hash"}


def _access_token(subject: ClaimSubject, api: ResourceServer | None, told: Told) -> dict[str, Any]:
    permissions: dict[str, Any] = {}
    if api and api.tells_permissions:
        permissions["permissions"] = entitlements.permissions_of(subject.user, api, subject.snapshot)
    userinfo = f"{settings.ISSUER}userinfo"
    audience: str | list[str] = api.identifier if api else userinfo
    if api and OPENID in subject.scope:
        audience = [api.identifier, userinfo]
    return {
        **told.claims,
        **permissions,
        "iss": settings.ISSUER,
        "sub": subject.user.user_id,
        "aud": audience,
        "client_id": subject.application.client_id,
        "scope": " ".join(subject.scope),
    }
