"""The story of one session, from the rows that it left: opened, joined, proved again, ended, told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q

from idp.models import Application, User
from logout_app.delivery.channels.registry import OF_PERSON
from logout_app.models import DeliveryAttempt, DeliveryState, LogoutDelivery
from logout_app.protocol import silence
from sessions_app.audit import history
from sessions_app.audit.events import EventType
from sessions_app.models import SSOSession

TOLD_ELSEWHERE = (EventType.OPENED, EventType.JOINED, EventType.ENDED)  # the rows themselves tell these
METHODS = {"pwd": "password", "otp": "one-time code", "hwk": "security key", "fed": "identity provider"}


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    at: datetime
    kind: str  # opened, joined, event, ended, or the state of a delivery
    title: str
    facts: list[str] = field(default_factory=list)
    attempts: list[DeliveryAttempt] = field(default_factory=list)
    delivery: LogoutDelivery | None = None


def timeline(session: SSOSession) -> list[TimelineEntry]:
    """Oldest first. What is told to applications stands where it was finished, or last if it still waits."""
    deliveries = _deliveries(session)
    entries = [*_life(session), *_other_events(session), *_end(session)]
    entries.sort(key=lambda entry: entry.at)
    told = [_delivery(row) for row in deliveries] + list(_deleted(session, {row.client_id for row in deliveries}))
    return [*entries, *sorted(told, key=lambda entry: (entry.kind == DeliveryState.PENDING, entry.at))]


def _deliveries(session: SSOSession) -> list[LogoutDelivery]:
    """Of the session, and the revocation requests to its applications that were sent with its end, one for all sessions."""
    revocations = Q(
        event__in=history.sign_outs_of(session.sid),
        channel__in=OF_PERSON,
        application__in=session.clients.values("application"),
    )
    rows = LogoutDelivery.objects.filter(Q(session=session) | revocations)
    return list(rows.select_related("application").prefetch_related("attempt_log").order_by("finished_at", "pk"))


def _deleted(session: SSOSession, planned: set[str]) -> Iterator[TimelineEntry]:
    """Who joined, by the audit trail, and has neither a row of the end nor a place in the session: deleted before it ended."""
    if session.ended_at is None:
        return
    still = set(session.clients.values_list("application__client_id", flat=True))
    for client_id in history.joined(session.sid):
        if client_id not in planned | still:
            yield TimelineEntry(
                session.ended_at, DeliveryState.NOT_TOLD, f"{client_id}: not told, because {silence.DELETED}"
            )


def actor_in_words(actor: str) -> str:
    kind, _, name = actor.partition(":")
    if kind == "app":
        application = Application.objects.filter(client_id=name).only("name").first()
        return f"the application {application.name if application else name}"
    if kind == "admin":
        person = User.objects.filter(user_id=name).only("email", "user_id").first()
        return f"the administrator {person or name}"
    words = {"user": "the person", "system": "Curfew itself", "upstream": f"the identity provider of {name}"}
    words["scim"] = f"the provisioning of {name}"
    return words.get(kind, actor)


def _life(session: SSOSession) -> Iterator[TimelineEntry]:
    names = [str(method.get("name", "")) for method in session.amr if isinstance(method, dict)]
    methods = [METHODS.get(name, name) for name in names]
    through = f" through {session.connection}" if session.connection else ""
    yield TimelineEntry(
        session.created_at,
        "opened",
        f"Signed in{through}" + (f" ({', '.join(methods)})" if methods else ""),
        [fact for fact in (session.initial_ip or "", session.initial_user_agent) if fact],
    )
    for client in session.clients.select_related("application"):
        yield TimelineEntry(
            client.joined_at, "joined", f"Joined {client.application.name or client.application.client_id}"
        )


def _other_events(session: SSOSession) -> Iterable[TimelineEntry]:
    for line in history.of_session(session.sid, without=TOLD_ELSEWHERE):
        facts = [f"{name}: {value}" for name, value in line.data.items()]
        yield TimelineEntry(line.at, "event", line.words, [*line.origin, *facts])


def _end(session: SSOSession) -> Iterator[TimelineEntry]:
    if session.ended_at is not None:
        actor = actor_in_words(session.end_actor)
        yield TimelineEntry(session.ended_at, "ended", f"Ended by {actor}", [f"initiator: {session.end_initiator}"])


def _delivery(row: LogoutDelivery) -> TimelineEntry:
    name = (row.application.name if row.application else "") or row.client_id
    if row.state == DeliveryState.NOT_TOLD:
        return TimelineEntry(row.created_at, row.state, f"{name}: not told, because {row.last_reason}", delivery=row)
    end = row.finished_at
    took = f" after {(end - row.created_at).total_seconds():.1f} s" if end else ""
    channel: Any = row.get_channel_display()
    attempts = sorted(row.attempt_log.all(), key=lambda attempt: attempt.number)
    reason = [row.last_reason] if row.last_reason else []
    title = f"{name}: {row.state_in_words}{took}"
    return TimelineEntry(end or row.created_at, row.state, title, [str(channel), *reason], attempts, row)
