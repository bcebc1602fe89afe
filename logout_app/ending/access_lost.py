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
from idp.protocol.initiators import Initiator
from logout_app.delivery import bell
from logout_app.delivery.channels.backchannel import BACKCHANNEL
from logout_app.delivery.channels.base import Occasion
from logout_app.delivery.channels.nobody import NOT_TOLD
from logout_app.delivery.channels.planning import why_not_told
from logout_app.delivery.receiver import of_application
from logout_app.models import DeliveryState, LogoutDelivery, LogoutEvent
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
        locked = SSOSession.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=pks, ended_at=None)
        sessions = {row.pk: row for row in locked.select_related("user", "connection").order_by("pk")}
        clients = SessionClient.objects.filter(application=application, session__in=sessions)
        leaving = [sessions[pk] for pk in clients.order_by("session").values_list("session", flat=True)]
        if not leaving:
            return 0
        event = _event(application, leaving, actor, at)
        LogoutDelivery.objects.bulk_create(_delivery(event, session, application, at) for session in leaving)
        clients.delete()
        SSOSession.objects.filter(pk__in=sessions, last_application=application).update(last_application=None)
        for session in leaving:
            _record(event, session, application, actor, at)
        transaction.on_commit(bell.ring)
    return len(leaving)


def _event(application: Application, leaving: list[SSOSession], actor: str, at: datetime) -> LogoutEvent:
    people = {session.user.pk: session.user for session in leaving}
    only = next(iter(people.values())) if len(people) == 1 else None
    return LogoutEvent.objects.create(
        at=at,
        initiator=WHY.value,
        actor=actor,
        user=only,
        sub=only.user_id if only else "",
        families_revoked=_revoke(application, people, at),
        data={"application": application.client_id},
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


def _delivery(event: LogoutEvent, session: SSOSession, application: Application, at: datetime) -> LogoutDelivery:
    why = why_not_told(application, WHY, Occasion())
    return LogoutDelivery(
        event=event,
        session=session,
        application=application,
        receiver="" if why else of_application(application.pk),
        client_id=application.client_id,
        sub=session.user.user_id,
        sid=session.sid,
        channel=(NOT_TOLD if why else BACKCHANNEL).name,
        state=DeliveryState.NOT_TOLD if why else DeliveryState.PENDING,
        last_reason=why,
        created_at=at,
        due_at=at,
        finished_at=at if why else None,
    )


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
