"""Applications that may act for a person, and the act by which the person takes one of them everything that it may.

The application keeps what it has read already, and a JWT access token works until it expires: nobody is asked about those.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from idp.http.requests import RequestFacts
from idp.models import Application, User
from idp.operations.tracing import switch as tracing
from idp.protocol.initiators import Initiator
from logout_app.ending import leaving
from logout_app.models import LogoutEvent
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import (
    AccessToken,
    AuthorizationCode,
    Consent,
    DeviceGrant,
    RefreshTokenFamily,
    SessionClient,
    SSOSession,
)

ACTOR = "user"
WHY = Initiator.SESSION_REVOKED


@dataclass(slots=True)
class ActingApplication:
    """`consent`: what the person allowed it; `families`: offline families that are alive; `devices`: where it is open."""

    application: Application
    consent: Consent | None = None
    families: int = 0
    used_at: datetime | None = None
    devices: int = 0

    @property
    def name(self) -> str:
        return str(self.application.name or self.application.client_id)

    @property
    def untold(self) -> bool:
        return bool(leaving.why_silent(self.application, WHY))


@dataclass(frozen=True, slots=True)
class Removed:
    sessions: int
    is_told: bool


def acting_for(user: User, at: datetime, client_id: str | None = None) -> list[ActingApplication]:
    """By name. Three statements, however many there are; `client_id`: this one only."""
    only = {} if client_id is None else {"application__client_id": client_id}
    found: dict[int, ActingApplication] = {}
    for consent in Consent.objects.filter(user=user, **only).select_related("application"):
        found[consent.application_id] = ActingApplication(consent.application, consent)
    families = RefreshTokenFamily.objects.filter(user=user, offline=True, revoked_at=None, **only)
    for family in families.select_related("application"):
        family.user = user
        if family.is_alive(at):
            row = found.setdefault(family.application_id, ActingApplication(family.application))
            row.families += 1
            row.used_at = max(filter(None, (row.used_at, family.last_exchanged_at)), default=None)
    open_in = SessionClient.objects.filter(session__in=SSOSession.objects.live(at).filter(user=user), **only)
    devices = Counter(open_in.values_list("application", flat=True))
    for pk, row in found.items():
        row.devices = devices[pk]
    return sorted(found.values(), key=lambda row: (row.name.casefold(), row.application.pk))


def remove(user: User, application: Application, facts: RequestFacts, at: datetime, *, actor: str = ACTOR) -> Removed:
    """Consent, codes, refresh and access tokens, and its part of the person's sessions, in one transaction."""
    with transaction.atomic():
        sessions = leaving.lock(SSOSession.objects.filter(user=user, ended_at=None).values_list("pk", flat=True))
        clients = leaving.parts(application, sessions).order_by("session")
        going = [sessions[pk] for pk in clients.values_list("session", flat=True)]
        consent = Consent.objects.select_for_update().filter(user=user, application=application).first()
        families = _end_tokens(user, application, at)
        event = _event(user, application, families, actor, at) if going or families else None
        if event is not None and going:
            leaving.leave(event, application, going, at)
        if consent is not None:
            consent.delete()
        if consent is not None or event is not None:
            trail.record(
                EventType.APPLICATION_REMOVED,
                user=user,
                application=application,
                initiator=WHY.value,
                actor=actor,
                facts=facts,
                at=at,
                data={
                    "scopes": consent.scopes if consent else [],
                    "families": families,
                    "sessions": len(going),
                    "event": event.pk if event else None,
                },
            )
    return Removed(len(going), bool(going) and not leaving.why_silent(application, WHY))


def _end_tokens(user: User, application: Application, at: datetime) -> int:
    """First what can still become tokens: an exchange that is under way is waited for, and what it made is seen below."""
    mine = Q(user=user, application=application)
    AuthorizationCode.objects.filter(mine, used_at=None).delete()
    DeviceGrant.objects.filter(mine).delete()
    alive = RefreshTokenFamily.objects.filter(mine, revoked_at=None)
    pks = list(alive.select_for_update(no_key=True, of=("self",)).order_by("pk").values_list("pk", flat=True))
    RefreshTokenFamily.objects.filter(pk__in=pks).update(revoked_at=at, revoke_reason=WHY.value)
    AccessToken.rows.filter(mine, revoked_at=None, expires__gt=at).update(revoked_at=at)
    return len(pks)


def _event(user: User, application: Application, families: int, actor: str, at: datetime) -> LogoutEvent:
    return LogoutEvent.objects.create(
        at=at,
        initiator=WHY.value,
        actor=actor,
        user=user,
        sub=user.user_id,
        families_revoked=families,
        data={"application": application.client_id, **tracing.kept()},
    )
