"""One application's part of sessions ends, and the sessions go on: its back channel (or SOAP) tells it, and it takes no part any more
until somebody joins with it again. The caller has locked the sessions, as the door and whoever joins do."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from idp.models import Application
from idp.protocol.initiators import Initiator
from logout_app.delivery import bell
from logout_app.delivery.channels.base import Occasion
from logout_app.delivery.channels.nobody import NOT_TOLD
from logout_app.delivery.channels.planning import told_by, why_not_told
from logout_app.delivery.receiver import of_application
from logout_app.models import DeliveryState, LogoutDelivery, LogoutEvent
from sessions_app.models import SessionClient, SSOSession


def lock(pks: Collection[int]) -> dict[int, SSOSession]:
    """Those of the sessions that live; in the open transaction."""
    locked = SSOSession.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=pks, ended_at=None)
    return {row.pk: row for row in locked.select_related("user", "connection").order_by("pk")}


def parts(application: Application, sessions: Collection[int]) -> QuerySet[SessionClient]:
    return SessionClient.objects.filter(application=application, session__in=sessions)


def leave(event: LogoutEvent, application: Application, sessions: Collection[SSOSession], at: datetime) -> None:
    """For the reason that the event has."""
    pks = [session.pk for session in sessions]
    LogoutDelivery.objects.bulk_create(_delivery(event, session, application, at) for session in sessions)
    parts(application, pks).delete()
    SSOSession.objects.filter(pk__in=pks, last_application=application).update(last_application=None)
    transaction.on_commit(bell.ring)


def why_silent(application: Application, why: Initiator) -> str:
    """The reason that the application is not told, or "". No browser shows a page of it."""
    return why_not_told(application, why.value, Occasion())


def _delivery(event: LogoutEvent, session: SSOSession, application: Application, at: datetime) -> LogoutDelivery:
    silent = why_silent(application, Initiator(event.initiator))
    channel = (None if silent else told_by(application, event.initiator, Occasion())) or NOT_TOLD
    return LogoutDelivery(
        event=event,
        session=session,
        application=application,
        receiver="" if silent else of_application(application.pk),
        client_id=application.client_id,
        sub=session.user.user_id,
        sid=session.sid,
        channel=channel.name,
        state=DeliveryState.NOT_TOLD if silent else DeliveryState.PENDING,
        last_reason=silent,
        created_at=at,
        due_at=at,
        finished_at=at if silent else None,
    )
