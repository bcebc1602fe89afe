"""Event streams: a security event token that is pushed (RFC 8935) or comes for itself (RFC 8936), and signed webhooks.

Nobody plans them with an end: the feeder does, from the audit trail (`logout_app/streams/feed.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from django.conf import settings

from idp.crypto import keys, sealing
from idp.tenants.configuration import Snapshot
from logout_app.delivery.channels.base import DeliveryChannel, Dispatch, Message, NothingToTell, Route
from logout_app.delivery.outbox import Claimed
from logout_app.models import Channel, EventStream, StreamItem, StreamMethod, StreamState
from logout_app.protocol import retry
from logout_app.protocol.retry import Answer, Decision, History, Outcome
from logout_app.protocol.streams import sets, webhooks
from sessions_app.audit import history as lines

LONGEST_DELAY = 300.0  # seconds between tries: a receiver that is back hears within minutes
REFUSED = frozenset({400, 413})  # it read this event and does not want it; the others go on


Read = Callable[[int], StreamItem | None]  # by the delivery's key


def read_one(delivery: int) -> StreamItem | None:
    return StreamItem.objects.select_related("stream__application").filter(delivery=delivery).first()


def _at_once(rows: Sequence[Claimed]) -> Read:
    """Two statements, of which the second reads each stream once."""
    found = {item.delivery_id: item for item in StreamItem.objects.filter(delivery__in=[row.id for row in rows])}
    streams = EventStream.objects.select_related("application").in_bulk({item.stream_id for item in found.values()})
    for item in found.values():
        item.stream = streams[item.stream_id]
    return found.get


def token(item: StreamItem, key: keys.LoadedKey, at: datetime) -> str:
    stream, facts = item.stream, item.facts
    claims = sets.claims(
        issuer=settings.ISSUER,
        audiences=stream.audiences,
        jti=item.jti,
        txn=facts["txn"],
        facts=facts,
        place=stream.subject_place if item.line is not None else "sub_id",
        at=at,
    )
    return keys.sign_with(key, claims, typ=sets.TYP)


def _pushed(row: Claimed, snapshot: Snapshot, read: Read = read_one) -> Route:
    item = _item(row, read)
    stream, key = item.stream, keys.active(item.stream.algorithm, snapshot)
    headers = {"Content-Type": sets.MEDIA_TYPE}
    if stream.authorization:
        headers["Authorization"] = sealing.unseal(stream.authorization, sealed_for(stream, "authorization"))
    return Route(stream.endpoint, None, partial(_set, item, key, headers))


def _set(item: StreamItem, key: keys.LoadedKey, headers: dict[str, str], row: Claimed, at: datetime) -> Message:
    return Message(token(item, key, at).encode(), headers, item.jti)


def _hooked(row: Claimed, snapshot: Snapshot, read: Read = read_one) -> Route:
    item = _item(row, read)
    stream = item.stream
    found = lines.line(item.line) if item.line is not None else None
    if item.line is not None and found is None:
        raise NothingToTell("the line of the audit trail was purged")
    document = (
        {"id": item.jti, "type": item.type, "data": item.facts["event"]}
        if found is None
        else webhooks.document(found, item.jti)
    )
    content = webhooks.body(document, stream.body_format)
    secret = sealing.unseal(stream.secret, sealed_for(stream, "secret"))
    headers = {"Content-Type": webhooks.FORMATS[stream.body_format], "Curfew-Event": item.type}
    if stream.authorization:
        headers["Authorization"] = sealing.unseal(stream.authorization, sealed_for(stream, "authorization"))
    return Route(stream.endpoint, None, partial(_hook, item, content, secret, headers))


def _hook(
    item: StreamItem, content: bytes, secret: str, headers: dict[str, str], row: Claimed, at: datetime
) -> Message:
    return Message(content, {**headers, webhooks.SIGNATURE: webhooks.signature(secret, content, at)}, item.jti)


def sealed_for(stream: EventStream, what: str) -> str:
    return f"stream:{stream.public_id}:{what}"


def _item(row: Claimed, read: Read) -> StreamItem:
    """What is to be told, if it is now. What a paused stream holds goes back into the trail."""
    item = read(row.id)
    if item is None:
        raise NothingToTell("the stream was deleted")
    stream = item.stream
    if stream.application is not None and not stream.application.enabled:
        raise NothingToTell("the application is disabled")
    if item.line is None or (stream.status == StreamState.ENABLED and stream.method == StreamMethod.PUSH):
        return item
    if stream.status == StreamState.DISABLED:
        raise NothingToTell("the stream is disabled")
    EventStream.objects.filter(pk=stream.pk, after__gte=item.line).update(after=item.line - 1)
    raise NothingToTell("held in the audit trail: the stream is paused, or is not pushed any more")


def _verdict(answer: Answer, history: History, *, at: datetime, jitter: float) -> Decision:
    """Nothing is given up for a receiver that is away or answers nonsense: its events wait, in order."""
    decision = retry.decide(answer, history, at=at, jitter=jitter, final=REFUSED)
    if decision.outcome in (Outcome.DELIVERED, Outcome.REFUSED):
        return decision
    delay = max(min(retry.backoff(history.attempts, jitter), LONGEST_DELAY), decision.pause)
    return Decision(Outcome.RETRY, decision.reason, delay=delay, unhealthy=True, pause=decision.pause)


STREAM = DeliveryChannel(
    Channel.STREAM,
    "Shared Signals stream",
    on=lambda _: False,
    dispatch=Dispatch(_pushed, _verdict, in_order=True, of_claim=lambda rows: partial(_pushed, read=_at_once(rows))),
)
POLL = DeliveryChannel(Channel.POLL, "Shared Signals poll", on=lambda _: False)
WEBHOOK = DeliveryChannel(
    Channel.WEBHOOK,
    "Webhook",
    on=lambda _: False,
    dispatch=Dispatch(_hooked, _verdict, in_order=True, of_claim=lambda rows: partial(_hooked, read=_at_once(rows))),
)
