"""Somebody may not use an application any more, and it wants them signed out there: their session goes on without it.

It is told by its back channel, its refresh tokens of these people die, and it takes no part in their sessions until they may
use it again and come back. Applications that did not ask for this are refused everything too (`sessions_app.session.gate`),
and are told of nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import receiver

from idp import signals
from idp.directory.admission import not_admitted
from idp.models import AccessMode, Application
from idp.operations.tracing import switch as tracing
from idp.protocol.initiators import Initiator
from logout_app.ending import leaving
from logout_app.models import LogoutEvent
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import RefreshTokenFamily, SessionClient, SSOSession

WHY = Initiator.ACCESS_LOST
AT_ONCE = 200  # sessions in one transaction


@receiver(signals.access_changed, dispatch_uid="the door: access changed")
def _access_changed(
    users: Collection[int] | None, applications: Collection[int] | None, actor: str, at: datetime, **_: Any
) -> None:
    sign_out(users=users, applications=applications, actor=actor, at=at)


def sign_out(
    *, users: Collection[int] | None = None, applications: Collection[int] | None = None, actor: str, at: datetime
) -> int:
    """Of these people (None: all) at these applications (None: all that want it); returns from how many sessions."""
    wanting = Application.objects.filter(access_loss_signs_out=True).exclude(access_mode=AccessMode.EVERYONE)
    if applications is not None:
        wanting = wanting.filter(pk__in=applications)
    return sum(_sign_out_of(application, users, actor, at) for application in wanting.order_by("pk"))


def _sign_out_of(application: Application, users: Collection[int] | None, actor: str, at: datetime) -> int:
    done, last = 0, 0
    while pks := list(
        _sessions(application, users).filter(session__gt=last).values_list("session", flat=True)[:AT_ONCE]
    ):
        done, last = done + _leave(application, pks, actor, at), pks[-1]
    _revoke(application, users, at)  # what outlived its session
    return done


def _sessions(application: Application, users: Collection[int] | None) -> QuerySet[SessionClient]:
    rows = SessionClient.objects.filter(application=application, session__ended_at=None)
    if users is not None:
        rows = rows.filter(session__user__in=users)
    return rows.filter(not_admitted(application, "session__user")).order_by("session")


def _leave(application: Application, pks: list[int], actor: str, at: datetime) -> int:
    """Sessions are locked as by the door and by who joins; the session clients are read after that."""
    with transaction.atomic():
        sessions = leaving.lock(pks)
        clients = leaving.parts(application, sessions)
        going = [sessions[pk] for pk in clients.order_by("session").values_list("session", flat=True)]
        if not going:
            return 0
        event = _event(application, going, actor, at)
        leaving.leave(event, application, going, at)
        for session in going:
            _record(event, session, application, actor, at)
    return len(going)


def _event(application: Application, going: list[SSOSession], actor: str, at: datetime) -> LogoutEvent:
    people = {session.user.pk: session.user for session in going}
    only = next(iter(people.values())) if len(people) == 1 else None
    return LogoutEvent.objects.create(
        at=at,
        initiator=WHY.value,
        actor=actor,
        user=only,
        sub=only.user_id if only else "",
        families_revoked=_revoke(application, people, at),
        data={"application": application.client_id, **tracing.kept()},
    )


def _revoke(application: Application, users: Collection[int] | None, at: datetime) -> int:
    """Every family of those who may not use it, also offline ones: asked again where the person is, not where the session is."""
    families = RefreshTokenFamily.objects.filter(application=application, revoked_at=None)
    if users is not None:
        families = families.filter(user__in=users)
    lost = families.filter(not_admitted(application, "user"))
    with transaction.atomic():
        pks = list(lost.select_for_update(no_key=True, of=("self",)).order_by("pk").values_list("pk", flat=True))
        return RefreshTokenFamily.objects.filter(pk__in=pks).update(revoked_at=at, revoke_reason=WHY.value)


def _record(event: LogoutEvent, session: SSOSession, application: Application, actor: str, at: datetime) -> None:
    trail.record(
        EventType.ACCESS_LOST,
        session=session,
        application=application,
        initiator=WHY.value,
        actor=actor,
        at=at,
        data={"event": event.pk},
    )
