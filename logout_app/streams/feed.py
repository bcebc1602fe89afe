"""From the audit trail into the outbox: the next events of each stream, with the position that they were read up to.

Both are committed together, so that every line is planned once, whoever is killed when. A stream gets a run of rows, and the
next when that is decided: what is not planned yet is held in the trail, and costs nothing however long a receiver is away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from idp.tenants import configuration
from idp.tenants.configuration import Snapshot
from logout_app.delivery.receiver import of_stream
from logout_app.models import (
    Channel,
    DeliveryState,
    EventStream,
    LogoutDelivery,
    LogoutEvent,
    StreamItem,
    StreamKind,
    StreamMethod,
    StreamState,
)
from logout_app.protocol.streams import caep, sets
from logout_app.protocol.streams import vocabulary as v
from logout_app.streams import subjects
from logout_app.streams.subjects import KnownPeople
from sessions_app.audit import events as kinds
from sessions_app.audit import history
from sessions_app.audit.history import Recorded
from sessions_app.audit.settled import SettledTrail

RUN = 20  # rows that are planned at once: what one claim takes of a receiver
MOST_LOOKS = 20  # batches of lines without an event for the stream, before others have their turn


@dataclass(frozen=True, slots=True)
class Fed:
    planned: int = 0
    unsettled: bool = False  # there are lines that may not be read yet


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """An event before it has a row."""

    line: Recorded | None
    type: str
    jti: str
    facts: dict[str, Any]

    @property
    def sign_out(self) -> int | None:
        return self.line.data.get("event") if self.line else None


def feed_all(trail: SettledTrail, at: datetime) -> Fed:
    """The streams that are pushed. One statement where there is none; two while nothing is new."""
    enabled = EventStream.objects.filter(status=StreamState.ENABLED, method=StreamMethod.PUSH)
    found = list(enabled.order_by("pk").values_list("pk", "after"))
    if not found:
        return Fed()
    until = trail.look()
    planned = sum(feed(pk, until, at, most=RUN) for pk, after in found if after < until)
    return Fed(planned, trail.waits)


def feed(pk: int, until: int, at: datetime, *, most: int) -> int:
    """Plan the next run of one stream; returns how many rows. Nobody else feeds it meanwhile."""
    with transaction.atomic():
        rows = EventStream.objects.select_related("application").select_for_update(
            skip_locked=True, of=("self",), no_key=True
        )
        stream = rows.filter(pk=pk, status=StreamState.ENABLED).first()
        if stream is None or waiting(stream).exists():
            return 0
        before = stream.after
        planned = _plan_next(stream, until, at, most)
        if stream.after != before:
            EventStream.objects.filter(pk=pk).update(after=stream.after)
    return planned


def waiting(stream: EventStream) -> QuerySet[LogoutDelivery]:
    """Its rows that are not decided yet."""
    rows = LogoutDelivery.objects.filter(receiver=receiver_of(stream), state=DeliveryState.PENDING)
    return rows if stream.method == StreamMethod.PUSH else rows.filter(stream_item__stream=stream)


def receiver_of(stream: EventStream) -> str:
    """Nobody of the workers tells who comes for it."""
    return of_stream(stream.pk) if stream.method == StreamMethod.PUSH else ""


def types_of(stream: EventStream) -> list[str]:
    """The lines that it may hear of; empty: of all."""
    if stream.kind == StreamKind.WEBHOOK:
        return list(stream.events)
    return caep.lines(v.delivered(stream.events)) or ["-"]


def _plan_next(stream: EventStream, until: int, at: datetime, most: int) -> int:
    types = types_of(stream)
    for _ in range(MOST_LOOKS):
        if stream.after >= until:
            return 0
        lines = history.between(stream.after, until, types, most)
        stream.after = lines[-1].pk if len(lines) == most else until
        if lines and (planned := plan(stream, _items(stream, lines), at)):
            return planned
    return 0


def _items(stream: EventStream, lines: Sequence[Recorded]) -> list[PlannedItem]:
    if stream.kind == StreamKind.WEBHOOK:
        return [PlannedItem(line, line.type, sets.jti(stream.public_id, line.pk), {}) for line in lines]
    people, snapshot = subjects.known(lines), configuration.current()
    left_out = set(stream.exclusions.values_list("digest", flat=True))
    found, seen = [], set()
    for line in lines:
        item = _security_event(stream, line, people, left_out, snapshot)
        once = None if item is None else (item.type, item.sign_out, str(item.facts["subject"]))
        if item is None or (item.sign_out and once in seen):
            continue  # several sessions of one person ended at once, and the stream names no sessions
        seen.add(once)
        found.append(item)
    return found


def _security_event(
    stream: EventStream, line: Recorded, people: KnownPeople, left_out: set[str], snapshot: Snapshot
) -> PlannedItem | None:
    subject = subjects.subject(stream, line, people, snapshot) if line.sub else None
    if subject is None or (left_out and left_out & subjects.digests(stream, line, people, snapshot)):
        return None
    user = people.users.get(line.sub)
    event = caep.event(
        caep.Happening(
            line.type,
            line.at,
            sid=line.sid,
            initiator=line.initiator,
            actor=line.actor,
            words=kinds.words(line.type),
            data=line.data,
            claims=subjects.claims_now(line, people, snapshot),
            address=user.email if user else "",
        )
    )
    if event is None:
        return None
    uri = caep.uri_of(line.type)
    facts = {"uri": uri, "event": event, "subject": subject, "txn": str(line.data.get("event") or f"line-{line.pk}")}
    return PlannedItem(line, uri, sets.jti(stream.public_id, line.pk), facts)


def plan(stream: EventStream, items: Sequence[PlannedItem], at: datetime) -> int:
    """Rows of the outbox, in the transaction that is open."""
    ends = {item.sign_out for item in items if item.sign_out}
    there = set(LogoutEvent.objects.filter(pk__in=ends).values_list("pk", flat=True)) if ends else set()
    rows = [
        LogoutDelivery(
            event_id=item.sign_out if item.sign_out in there else None,
            receiver=receiver_of(stream),
            client_id="",
            sub=item.line.sub if item.line else "",
            sid=item.line.sid if item.line else "",
            channel=channel_of(stream),
            created_at=at,
            due_at=at,
        )
        for item in items
    ]
    LogoutDelivery.objects.bulk_create(rows)
    StreamItem.objects.bulk_create(
        StreamItem(
            delivery=row,
            stream=stream,
            line=item.line.pk if item.line else None,
            type=item.type,
            jti=item.jti,
            facts=item.facts,
        )
        for row, item in zip(rows, items, strict=True)
    )
    return len(rows)


def channel_of(stream: EventStream) -> Channel:
    if stream.kind == StreamKind.WEBHOOK:
        return Channel.WEBHOOK
    return Channel.STREAM if stream.method == StreamMethod.PUSH else Channel.POLL
