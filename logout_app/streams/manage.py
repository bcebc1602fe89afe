"""Acts on event streams, of their receivers (by the API) and of administrators. Each is one transaction with its line of the trail."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Min
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.utils import timezone

from idp.crypto import sealing
from idp.http.requests import RequestFacts
from idp.models import Application
from idp.protocol.errors import InvalidRequest, ProtocolError, TooManyRequests
from idp.protocol.opaque import new_secret
from idp.protocol.signal_events import STREAM_UPDATED, VERIFICATION
from logout_app.delivery import bell, redeliver
from logout_app.delivery.channels.streams import sealed_for
from logout_app.models import (
    DeliveryState,
    EventStream,
    LogoutDelivery,
    StreamKind,
    StreamMethod,
    StreamState,
    SubjectExclusion,
)
from logout_app.protocol.streams import sets
from logout_app.protocol.streams import vocabulary as v
from logout_app.protocol.streams.requests import WantedDelivery, WantedStream
from logout_app.streams import feed, rules
from logout_app.streams.feed import PlannedItem
from sessions_app.audit import history, trail
from sessions_app.audit.events import EventType

MOST_EXCLUSIONS = 10_000
TEST = "test"  # of a webhook, which has no verification of its own


class OneStreamOnly(ProtocolError):
    error = "invalid_request"
    status = 409

    def __init__(self) -> None:
        super().__init__("This receiver has a stream already: read, update or delete it.")


class Halted(ProtocolError):
    """Sections 8.1.2.2 and 8.1.1.5: not everybody who may read a stream may change its status, or delete it."""

    error = "access_denied"
    status = 403

    def __init__(self) -> None:
        super().__init__("An administrator stopped this stream: only they start it again.")


class NotGranted(ProtocolError):
    error = "access_denied"
    status = 403

    def __init__(self) -> None:
        super().__init__(f"The stream cannot be enabled: {rules.NOT_GRANTED}.")


class SetBy(StrEnum):
    """Who changes the status of a stream."""

    RECEIVER = "receiver"
    ADMINISTRATOR = "administrator"
    SYSTEM = "system"


class NoSuchStream(ProtocolError):
    error = "not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__("There is no such stream of this receiver.")


def configuration_of(stream: EventStream) -> dict[str, Any]:
    """As receivers read it (section 8.1.1). What authorizes pushes is a secret, and is not given back."""
    method = v.PUSH if stream.method == StreamMethod.PUSH else v.POLL
    older = {new: old for old, new in v.OLDER.items()}
    document: dict[str, Any] = {
        "stream_id": stream.public_id,
        "iss": settings.ISSUER,
        "aud": stream.audiences[0] if len(stream.audiences) == 1 else stream.audiences,
        "events_supported": list(v.SUPPORTED),
        "events_requested": stream.events,
        "events_delivered": v.delivered(stream.events),
        "delivery": {"method": older[method] if stream.older_names else method, "endpoint_url": endpoint_of(stream)},
        "min_verification_interval": v.MIN_VERIFICATION_INTERVAL,
    }
    if stream.description:
        document["description"] = stream.description
    if stream.method == StreamMethod.POLL:
        document["inactivity_timeout"] = v.INACTIVITY_TIMEOUT
    return document


def endpoint_of(stream: EventStream) -> str:
    """Where events are pushed to, or where they are to be had."""
    return stream.endpoint if stream.method == StreamMethod.PUSH else f"{settings.ISSUER}ssf/poll/{stream.public_id}"


def find(application: Application, public_id: str) -> EventStream:
    """Raises NoSuchStream, also for another's."""
    rows = EventStream.objects.select_related("application").filter(kind=StreamKind.SSF, application=application)
    if (stream := rows.filter(public_id=public_id).first()) is None:
        raise NoSuchStream
    return stream


def of(application: Application) -> list[EventStream]:
    return list(EventStream.objects.select_related("application").filter(kind=StreamKind.SSF, application=application))


# --- receivers ------------------------------------------------------------------------------------------------------------
def create(application: Application, wanted: WantedStream, *, actor: str, at: datetime) -> EventStream:
    """A receiver's stream; without a delivery, events are to be polled. Raises InvalidRequest, OneStreamOnly.

    The drafts' name of push is Apple's: it says its own audience, and expects a first event at once.
    """
    delivery = wanted.delivery or WantedDelivery(v.POLL)
    stream = EventStream(
        public_id=new_public_id(),
        name=application.name[:100],
        application=application,
        audiences=[application.client_id],
        events=wanted.events or [],
        description=wanted.description or "",
        after=history.newest(),
        created_at=at,
        used_at=at,
    )
    if delivery.is_older:
        stream.audiences = wanted.audiences or stream.audiences
        stream.subject_format = wanted.subject_format or "email"
    _set_delivery(stream, delivery)
    try:
        with transaction.atomic():
            stream.save(force_insert=True)
            tell(stream, "made", actor=actor, at=at)
            if delivery.is_older:
                send_verification(stream, None, at)
    except IntegrityError:
        raise OneStreamOnly from None
    return stream


def update(stream: EventStream, wanted: WantedStream, *, replace: bool, actor: str, at: datetime) -> None:
    """What is not said is unchanged, or removed if all of it is replaced."""
    with transaction.atomic():
        _hold(stream)
        if wanted.events is not None or replace:
            stream.events = wanted.events or []
        if wanted.description is not None or replace:
            stream.description = wanted.description or ""
        if wanted.delivery is not None or replace:
            _change_delivery(stream, wanted.delivery or WantedDelivery(v.POLL), at)
        stream.used_at = at
        stream.save()
        tell(stream, "replaced" if replace else "changed", actor=actor, at=at)


def delete(stream: EventStream, *, actor: str, at: datetime, by: SetBy) -> None:
    """Raises Halted for a receiver whose stream an administrator stopped: it would make another one, which runs."""
    with transaction.atomic():
        _hold(stream)
        if by == SetBy.RECEIVER and stream.halted:
            raise Halted
        tell(stream, "deleted", actor=actor, at=at)
        stream.delete()


@receiver(pre_delete, sender=EventStream, dispatch_uid="streams: what a deleted one did not tell")
def _deleted(instance: EventStream, **_: Any) -> None:
    """Also with its application. What is being sent is recorded as it ends."""
    _drop(instance, "the stream was deleted", timezone.now())


def exclude(stream: EventStream, subject: Mapping[str, Any], *, excluded: bool) -> None:
    """Whether anybody is called so is not told. Raises TooManyRequests."""
    digest = sets.digest_of(subject)
    if not excluded:
        stream.exclusions.filter(digest=digest).delete()
    elif stream.exclusions.count() >= MOST_EXCLUSIONS:
        raise TooManyRequests("No more subjects can be removed from this stream.")
    else:
        SubjectExclusion.objects.bulk_create([SubjectExclusion(stream=stream, digest=digest)], ignore_conflicts=True)


def ask_verification(stream: EventStream, state: str | None, at: datetime) -> None:
    """A receiver's request. Raises TooManyRequests for one that comes too soon."""
    soonest = at - timedelta(seconds=v.MIN_VERIFICATION_INTERVAL)
    asked = EventStream.objects.filter(pk=stream.pk).exclude(verification_asked_at__gt=soonest)
    with transaction.atomic():
        if not asked.update(verification_asked_at=at, used_at=at):
            since = stream.verification_asked_at or at
            left = v.MIN_VERIFICATION_INTERVAL - int((at - since).total_seconds())
            raise TooManyRequests("A verification was asked for just now.", retry_after=max(1, left))
        send_verification(stream, state, at)


# --- both -----------------------------------------------------------------------------------------------------------------
def set_status(stream: EventStream, status: str, reason: str, *, actor: str, at: datetime, by: SetBy) -> None:
    """Paused holds events (in the audit trail), disabled does not. What we change ourselves the receiver is told (section 8.1.5).

    Raises Halted for a receiver whose stream an administrator paused or disabled; NotGranted for whoever enables one that may not run.
    """
    with transaction.atomic():
        _hold(stream)
        if by == SetBy.ADMINISTRATOR:
            stream.halted = status != StreamState.ENABLED
        elif by == SetBy.RECEIVER and stream.halted and status != stream.status:
            raise Halted
        before, stream.status, stream.reason = stream.status, status, reason
        if status == before:
            rows = EventStream.objects.filter(pk=stream.pk)
            rows.update(reason=reason, halted=stream.halted, used_at=_used(stream, by, at))
            return
        if status == StreamState.ENABLED and not rules.may_run(stream):
            raise NotGranted
        if status == StreamState.DISABLED:
            _drop(stream, "the stream was disabled", at, but_control=True)
        if before == StreamState.DISABLED:
            stream.after = history.newest()
        stream.used_at = _used(stream, by, at)
        stream.save(update_fields=["status", "reason", "halted", "after", "used_at"])
        if by != SetBy.RECEIVER and stream.kind == StreamKind.SSF:
            said = {"status": status} | ({"reason": reason} if reason else {})
            _control(stream, STREAM_UPDATED, said, at)
        tell(stream, status, actor=actor, at=at, reason=reason)
        transaction.on_commit(bell.ring)


def _used(stream: EventStream, by: SetBy, at: datetime) -> datetime:
    return at if by == SetBy.RECEIVER else stream.used_at


def send_verification(stream: EventStream, state: str | None, at: datetime) -> None:
    """`state`: what the receiver asked with; without one it is unsolicited (section 8.1.4.2)."""
    with transaction.atomic():
        kind = VERIFICATION if stream.kind == StreamKind.SSF else TEST
        _control(stream, kind, {} if state is None else {"state": state}, at)
        transaction.on_commit(bell.ring)


def replay(stream: EventStream, since: datetime, *, actor: str, at: datetime) -> None:
    """Tell again what happened since then, with the ids that it had: whoever keeps them knows it."""
    with transaction.atomic():
        _hold(stream)
        _drop(stream, "told again from an earlier position", at, but_control=True)
        EventStream.objects.filter(pk=stream.pk).update(after=history.last_before(since))
        tell(stream, f"told again since {since.isoformat(timespec='seconds')}", actor=actor, at=at)
        transaction.on_commit(bell.ring)


def redeliver_dead(stream: EventStream, *, at: datetime) -> int:
    """Everything that its receiver refused and that is still known; returns how many."""
    dead = list(stream.items.filter(delivery__state=DeliveryState.DEAD).values_list("delivery", flat=True)[:1000])
    if stream.method == StreamMethod.PUSH:
        return redeliver.deliveries(dead, at=at)
    return LogoutDelivery.objects.filter(pk__in=dead, state=DeliveryState.DEAD).update(
        state=DeliveryState.PENDING, finished_at=None, created_at=at, due_at=at
    )


def pause_inactive(at: datetime) -> int:
    """Streams that nobody has come for in a long time (section 8.1.1, `inactivity_timeout`)."""
    old = at - timedelta(seconds=v.INACTIVITY_TIMEOUT)
    rows = EventStream.objects.filter(method=StreamMethod.POLL, status=StreamState.ENABLED, used_at__lt=old)
    found = list(rows)
    for stream in found:
        set_status(stream, StreamState.PAUSED, "nobody came for its events", actor="system", at=at, by=SetBy.SYSTEM)
    return len(found)


def take_back(stream: EventStream, at: datetime) -> None:
    """Before it is told by another method: what waits by the old one goes back into the trail. The caller holds the row and saves it."""
    first = feed.waiting(stream).aggregate(line=Min("stream_item__line"))["line"]
    _drop(stream, "told by another method", at)
    if first is not None:
        stream.after = min(stream.after, first - 1)


def new_public_id() -> str:
    return secrets.token_hex(12)


def new_webhook_secret() -> str:
    return f"whsec_{new_secret()}"


def seal(stream: EventStream, what: str, value: str) -> str:
    return sealing.seal(value, sealed_for(stream, what)) if value else ""


def tell(
    stream: EventStream, change: str, *, actor: str, at: datetime, reason: str = "", facts: RequestFacts | None = None
) -> None:
    data = {"stream": stream.public_id, "name": stream.name, "change": change} | ({"reason": reason} if reason else {})
    trail.record(
        EventType.EVENT_STREAM_CHANGED, application=stream.application, actor=actor, at=at, facts=facts, data=data
    )


def _hold(stream: EventStream) -> None:
    """The row as it is now, which neither the feeder nor anybody else changes meanwhile."""
    row = EventStream.objects.select_for_update(no_key=True).filter(pk=stream.pk).first()
    if row is None:
        raise NoSuchStream
    stream.after, stream.status, stream.halted = row.after, row.status, row.halted


def _set_delivery(stream: EventStream, delivery: WantedDelivery) -> None:
    if delivery.short == StreamMethod.PUSH and (why := rules.endpoint_problem(delivery.endpoint)):
        raise InvalidRequest(f"Nothing can be pushed to delivery.endpoint_url: {why}.")
    stream.method, stream.older_names = delivery.short, delivery.is_older
    stream.endpoint = delivery.endpoint if delivery.short == StreamMethod.PUSH else ""
    stream.authorization = seal(stream, "authorization", delivery.authorization)


def _change_delivery(stream: EventStream, delivery: WantedDelivery, at: datetime) -> None:
    if delivery.short != stream.method:
        take_back(stream, at)
    _set_delivery(stream, delivery)


def _drop(stream: EventStream, why: str, at: datetime, *, but_control: bool = False) -> None:
    """What was planned and is not being sent."""
    rows = feed.waiting(stream)
    if but_control:
        rows = rows.filter(stream_item__line__isnull=False)
    keys = list(rows.exclude(lease_until__gt=at).values_list("pk", flat=True))
    LogoutDelivery.objects.filter(pk__in=keys, state=DeliveryState.PENDING).update(
        state=DeliveryState.DROPPED, last_reason=why, finished_at=at, lease_until=None
    )


def _control(stream: EventStream, uri: str, event: dict[str, Any], at: datetime) -> None:
    name = new_secret()[:32]
    facts = {"uri": uri, "event": event, "subject": sets.opaque(stream.public_id), "txn": name}
    feed.plan(stream, [PlannedItem(None, uri, name, facts)], at)
