"""Refresh: rotation with a grace for lost answers, and the end of a family whose token was stolen.

A family has generations. Exchanging a token of the newest one begins the next. Within the leeway a token of the directly
previous generation still works and makes a *sibling* of the newest. Anything older, or later, is reuse: the family dies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.db import transaction
from django.db.models import Case, JSONField, Q, Value, When

from idp.applications import client_auth
from idp.applications.client_auth import Credentials
from idp.applications.subjects import subject_for
from idp.database.guarded import Guard, update_guard, write
from idp.database.lookups import Given, Lookup
from idp.directory import entitlements
from idp.http.requests import RequestFacts
from idp.models import Application
from idp.protocol.errors import InvalidGrant, InvalidTarget
from idp.protocol.opaque import digest
from idp.protocol.standard_scopes import GROUPS, ROLES
from idp.tenants import configuration
from idp.tenants.configuration import Snapshot
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import RefreshToken, RefreshTokenFamily, SSOSession
from sessions_app.oauth import dpop, minting, policies
from sessions_app.oauth.dpop import Presented
from sessions_app.oauth.tokens import require_grant
from sessions_app.protocol import claims, scopes
from sessions_app.session.gate import may_use

UNKNOWN = "Unknown or invalid refresh token."  # auth0-spa-js looks for these words
BLOCKED = "user is blocked"  # and for these
# The token stays as it is: once the person has proved who they are, it works again.
STALE = "Unknown or invalid refresh token: the person must sign in again first."
# Where an application is told of groups or roles, as its scope or its mappings say, they are read along.
_TELLS_GROUPS = (
    Q(family__scope__contains=GROUPS)
    | Q(family__scope__contains=ROLES)
    | ~Q(family__application__claim_mappings=Value([], JSONField()))
)
_BY_CHECKSUM: Lookup[RefreshToken] = Lookup(
    lambda: (
        RefreshToken.objects.filter(token_checksum=Given("checksum"))
        .select_related("family__user", "family__session")
        .annotate(
            config_version=configuration.VERSION,
            held=Case(When(_TELLS_GROUPS, then=entitlements.HeldBy("family__user_id"))),
        )
    )
)
ATTEMPTS = 5  # a lost race is decided by the next look: the generation only grows


class Step(Enum):
    ROTATE = "rotate"
    SIBLING = "sibling"
    REUSE = "reuse"


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """The parameters of a grant_type=refresh_token request."""

    token: str
    scope: list[str]
    resources: tuple[str, ...] = ()
    presented: Presented = dpop.NOTHING


def exchange(request: RefreshRequest, credentials: Credentials, facts: RequestFacts, at: datetime) -> dict[str, Any]:
    """The token answer, or ProtocolError. Concurrent requests with one token all get siblings of one generation."""
    application: Application | None = None
    jkt = ""
    for _ in range(ATTEMPTS):
        token = _load(request.token)
        snapshot = configuration.at(token.config_version) if token else configuration.current()
        if application is None:
            application = client_auth.check(credentials, snapshot, at=at)
            require_grant(application, "refresh_token")
            jkt = request.presented.spent_by(application)
        usable = _usable(token, application, snapshot, facts, at)
        dpop.check_bound(usable.family.dpop_jkt, jkt)
        answer = _try(usable, request, application, jkt, snapshot, facts, at)
        if answer is not None:
            return answer
    raise InvalidGrant(UNKNOWN, detail="lost every race")


def step(generation: int, family: RefreshTokenFamily, leeway: int, at: datetime) -> Step:
    """What presenting a token of this generation means."""
    if generation == family.generation or not family.rotating:
        return Step.ROTATE
    in_grace = family.rotated_at is not None and at <= family.rotated_at + timedelta(seconds=leeway)
    return Step.SIBLING if generation == family.generation - 1 and in_grace else Step.REUSE


def _load(raw: str) -> RefreshToken | None:
    token = _BY_CHECKSUM.get(checksum=digest(raw))
    if token is None:
        return None
    if token.family.session is not None:
        token.family.session.user = token.family.user  # the same person: no further join
    if (held := getattr(token, "held", None)) is not None:  # the annotation
        entitlements.remember(token.family.user, held)
    return token


def _usable(
    token: RefreshToken | None, application: Application, snapshot: Snapshot, facts: RequestFacts, at: datetime
) -> RefreshToken:
    if token is None:
        raise InvalidGrant(UNKNOWN)
    family = token.family
    if family.application_id != application.pk:
        _kill(family, "foreign_client", EventType.REFRESH_TOKEN_STOLEN, application, facts, at)
        raise InvalidGrant(UNKNOWN)
    if not family.user.is_active:
        raise InvalidGrant(BLOCKED)
    if not family.is_alive(at) or token.revoked_at is not None:
        raise InvalidGrant(UNKNOWN)
    if not family.offline and family.session is not None and family.session.is_stale:
        raise InvalidGrant(STALE)
    if not may_use(application, family.session, family.user, snapshot):
        raise InvalidGrant(UNKNOWN, detail="the application is not for this person, or not by this connection")
    return token


def _try(
    token: RefreshToken,
    request: RefreshRequest,
    application: Application,
    jkt: str,
    snapshot: Snapshot,
    facts: RequestFacts,
    at: datetime,
) -> dict[str, Any] | None:
    """One attempt; None when somebody else changed the family since it was read."""
    family = token.family
    what = step(token.generation, family, application.usable.refresh_token_leeway, at)
    if what is Step.REUSE:
        _kill(family, "reused", EventType.REFRESH_TOKEN_REUSED, application, facts, at, generation=token.generation)
        raise InvalidGrant(UNKNOWN)
    grant = _grant_of(family, request, application, jkt, snapshot, at)
    generation = family.generation + (1 if what is Step.ROTATE and family.rotating else 0)
    access = minting.access_token(grant, snapshot, at)
    raw, row = minting.refresh_token(grant, generation=generation, at=at) if family.rotating else (request.token, None)
    answer = minting.answer(grant, access, raw, snapshot, at)  # first: what cannot be made uses nothing up
    written = write(_guard(family, generation, application, facts, at), minting.rows_of(None, row, access))
    return answer if written else None


def _guard(
    family: RefreshTokenFamily, generation: int, application: Application, facts: RequestFacts, at: datetime
) -> Guard:
    return update_guard(
        RefreshTokenFamily,
        family.pk,
        where={"generation": family.generation, "revoked_at": None},
        generation=generation,
        rotated_at=at if generation != family.generation else family.rotated_at,
        last_exchanged_at=at,
        idle_expires_at=minting.later(at, application.usable.refresh_token_idle_lifetime),
        last_ip=facts.ip,
        last_user_agent=facts.user_agent,
    )


def _grant_of(
    family: RefreshTokenFamily,
    request: RefreshRequest,
    application: Application,
    jkt: str,
    snapshot: Snapshot,
    at: datetime,
) -> minting.TokenGrant:
    if set(request.resources) - {family.audience}:
        raise InvalidTarget("resource was not part of the authorization.")
    api = minting.api_of(snapshot, family.audience)
    scope = scopes.narrow(request.scope, scopes.split(family.scope), policies.refused_if_wider(api))
    session = family.session if family.session is not None and family.session.is_alive(at) else None
    return minting.TokenGrant(
        application=application,
        user=family.user,
        session=session,
        authentication=_authentication_of(family, session, application, snapshot),
        scope=policies.allowed(scope, api, family.user, snapshot),
        audience=family.audience,
        code_id=family.code_id,
        family_id=family.pk,
        jkt=jkt,
    )


def _authentication_of(
    family: RefreshTokenFamily, session: SSOSession | None, application: Application, snapshot: Snapshot
) -> claims.Authentication:
    """The sign-in that the family began with: what was proved since, and how long the session lives by that, is not its.

    Families of earlier releases did not write down when the session was to end.
    """
    is_the_same = session is not None and session.auth_time == family.auth_time
    return claims.Authentication(
        subject_for(family.user.user_id, application, snapshot),
        family.sid,
        family.auth_time,
        claims.methods(session.amr) if session and is_the_same else [],
        named=family.acr,
        session_expires_at=family.session_expires_at or (session.expires_at if session and is_the_same else None),
    )


def _kill(
    family: RefreshTokenFamily,
    reason: str,
    event: EventType,
    application: Application,
    facts: RequestFacts,
    at: datetime,
    **data: int,
) -> None:
    """The family dies, its access tokens by it; told once, in the audit trail."""
    with transaction.atomic():
        if RefreshTokenFamily.objects.filter(pk=family.pk, revoked_at=None).update(revoked_at=at, revoke_reason=reason):
            trail.record(
                event,
                user=family.user,
                session=family.session,
                application=application,
                facts=facts,
                at=at,
                data={"family": family.public_id, "newest": family.generation, **data},
            )
