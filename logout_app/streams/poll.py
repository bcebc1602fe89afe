"""Polls of a receiver (RFC 8936): what it acknowledges is delivered, what it refuses is dead, what is left it gets, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from idp.crypto import keys
from idp.tenants import configuration
from logout_app.delivery import tallies
from logout_app.delivery.channels.streams import token
from logout_app.models import Channel, DeliveryState, EventStream, LogoutDelivery, StreamItem, StreamState
from logout_app.protocol.retry import printable
from logout_app.protocol.streams.requests import MOST_IN_POLL, WantedEvents
from logout_app.streams import feed
from sessions_app.audit import settled

LONGEST_WAIT = 20.0  # seconds that a long poll may take; proxies give up after thirty
BETWEEN = 0.25  # seconds between two looks
GATHER = 1.5  # seconds from one answer of a long poll to the next
SETTLE = 0.3
# Each long poll has a thread of the web server, which has four: the others answer at once, as section 2.4 lets them.
_LONG_POLLS = threading.BoundedSemaphore(1)
_answered: dict[int, float] = {}  # when a long poll of each stream was last answered here
SEEN_EVERY = timedelta(minutes=1)


def poll(stream: EventStream, wanted: WantedEvents, at: datetime) -> dict[str, Any]:
    """The answer's body. Waits in no transaction."""
    _finish(stream, wanted, at)
    if stream.used_at < at - SEEN_EVERY:
        EventStream.objects.filter(pk=stream.pk).update(used_at=at)
    if wanted.most == 0:
        return {"sets": {}}
    found = _long(stream, wanted.most) if wanted.wait else _next(stream, at, _soon)
    given = found[: wanted.most]
    LogoutDelivery.objects.filter(pk__in=[item.delivery_id for item in given]).update(attempts=F("attempts") + 1)
    key = keys.active(stream.algorithm, configuration.current()) if given else None
    now = timezone.now()
    sets = {item.jti: token(item, key, now) for item in given} if key else {}
    return {"sets": sets} | ({"moreAvailable": True} if len(found) > len(given) else {})


def _soon() -> int:
    return settled.newest(SETTLE)


def _next(stream: EventStream, at: datetime, settled_until: Callable[[], int]) -> list[StreamItem]:
    """What waits, the oldest first; planned now, if nothing does. A paused stream has only what is about itself."""
    status, after = EventStream.objects.filter(pk=stream.pk).values_list("status", "after").first() or ("", 0)
    rows = _waiting(stream, status)
    if rows or status != StreamState.ENABLED or (until := settled_until()) <= after:
        return rows
    return _waiting(stream, status) if feed.feed(stream.pk, until, at, most=MOST_IN_POLL) else []


def _waiting(stream: EventStream, status: str) -> list[StreamItem]:
    items = stream.items.select_related("stream").filter(delivery__in=feed.waiting(stream)).order_by("delivery")
    if status != StreamState.ENABLED:
        items = items.filter(line__isnull=True)
    return list(items[: MOST_IN_POLL + 1])


def _long(stream: EventStream, most: int) -> list[StreamItem]:
    """Who comes again at once gets what gathers meanwhile: an answer for each event would cost as much as many of them. After
    one that was full there is more, and nobody waits."""
    if not _LONG_POLLS.acquire(blocking=False):
        return _next(stream, timezone.now(), _soon)
    try:
        trail, until = settled.SettledTrail(), monotonic() + LONGEST_WAIT
        sleep(max(0.0, _answered.get(stream.pk, 0.0) + GATHER - monotonic()))
        while not (found := _next(stream, timezone.now(), trail.look)) and monotonic() < until:
            sleep(BETWEEN)
        _answered[stream.pk] = 0.0 if len(found) >= most else monotonic()
        return found
    finally:
        _LONG_POLLS.release()


def _finish(stream: EventStream, wanted: WantedEvents, at: datetime) -> None:
    if not wanted.acknowledged and not wanted.errors:
        return
    with transaction.atomic():
        done = _decide(stream, list(wanted.acknowledged), DeliveryState.DELIVERED, "", at)
        dead = sum(_decide(stream, [jti], DeliveryState.DEAD, printable(why), at) for jti, why in wanted.errors.items())
        counts = {("finished", f"{Channel.POLL}:{state}"): n for state, n in (("delivered", done), ("dead", dead)) if n}
        if counts:
            tallies.add(counts)


def _decide(stream: EventStream, jtis: list[str], state: DeliveryState, why: str, at: datetime) -> int:
    rows = stream.items.filter(jti__in=jtis, delivery__state=DeliveryState.PENDING, delivery__attempts__gt=0)
    keys_ = list(rows.values_list("delivery", flat=True))
    return LogoutDelivery.objects.filter(pk__in=keys_, state=DeliveryState.PENDING).update(
        state=state, last_reason=why, finished_at=at
    )
