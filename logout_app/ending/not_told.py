"""Which applications an end would not reach, said before it is done: pages that promise that applications are told name the
exceptions. What came of an end is in the outbox, as rows of their own (`DeliveryState.NOT_TOLD`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import QuerySet

from idp.models import Application, Connection, User
from idp.protocol.initiators import Initiator
from logout_app.delivery.channels.base import Occasion
from logout_app.delivery.channels.planning import why_not_told
from sessions_app.models import SSOSession

MOST_NAMES = 10


def in_use_by(user: User, at: datetime) -> list[Application]:
    """The applications of the person's live sessions."""
    return _of(SSOSession.objects.live(at).filter(user=user))


def in_use_through(connection: Connection, at: datetime) -> list[Application]:
    """The applications of live sessions that began through the connection."""
    return _of(SSOSession.objects.live(at).filter(connection=connection))


def in_session(session: SSOSession) -> list[Application]:
    return list(Application.objects.filter(pk__in=session.clients.values("application")))


def _of(sessions: QuerySet[SSOSession]) -> list[Application]:
    return list(Application.objects.filter(pk__in=sessions.values("clients__application")))


def sentences(applications: Iterable[Application], initiator: Initiator, *, whole_user: bool) -> list[str]:
    """For an administrator: one sentence if anybody is left out, none if everybody is told. No browser is at hand."""
    found = [
        f"{application.name or application.client_id} ({reason})"
        for application in applications
        if (reason := why_not_told(application, initiator, Occasion(whole_user=whole_user)))
    ]
    if not found:
        return []
    rest = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return [f"Not told, so that people may stay signed in there: {', '.join(found[:MOST_NAMES])}{rest}."]


def names_everywhere(user: User, here: SSOSession, at: datetime) -> list[str]:
    """For the person who signs out everywhere in this browser: the applications that at least one session leaves out."""
    found: dict[int, str] = {}
    for session in SSOSession.objects.live(at).filter(user=user).prefetch_related("clients__application"):
        for application in (client.application for client in session.clients.all()):
            if why_not_told(application, Initiator.SESSION_REVOKED, Occasion(session.pk == here.pk, whole_user=True)):
                found[application.pk] = application.name or application.client_id
    return sorted(found.values())
