"""Order: rows of a channel that keeps it are sent as they were planned, whoever claims them.

One worker sends what it claimed one after the other (`drain.py`). Here is what it must not send yet, because something that was
planned before is neither decided nor among what it claimed itself.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from logout_app.delivery.channels.registry import SENT
from logout_app.delivery.outbox import Claimed
from logout_app.models import DeliveryState, LogoutDelivery

SOON = timedelta(seconds=0.2)  # another worker is at it, or its answer is not recorded yet
LATEST_START = timedelta(seconds=4)  # after a claim: a lease lasts five seconds more than an attempt


def blocked(rows: Sequence[Claimed], at: datetime) -> dict[int, datetime]:
    """Claimed rows whose turn it is not, and when to come again. One statement for each receiver that has an order."""
    by_receiver: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if (dispatch := SENT.get(row.channel)) is not None and dispatch.in_order:
            by_receiver[row.receiver].append(row.id)
    found: dict[int, datetime] = {}
    for receiver, ours in by_receiver.items():
        if (before := _first_of_others(receiver, ours)) is not None:
            key, due_at, lease_until = before
            until = at + SOON if lease_until and lease_until > at else max(due_at, at + SOON)
            found |= {pk: until for pk in ours if pk > key}
    return found


def _first_of_others(receiver: str, ours: list[int]) -> tuple[int, datetime, datetime | None] | None:
    rows = LogoutDelivery.objects.sendable().filter(receiver=receiver, state=DeliveryState.PENDING, pk__lt=max(ours))
    first: tuple[int, datetime, datetime | None] | None = (
        rows.exclude(pk__in=ours).order_by("pk").values_list("pk", "due_at", "lease_until").first()
    )
    return first


async def after(before: asyncio.Task[datetime | None], claimed_at: datetime) -> datetime | None:
    """Wait until the one before is decided. If it is not, or too late for this lease: when to come again."""
    await asyncio.wait([before])
    now = timezone.now()
    if before.cancelled() or before.exception() is not None:
        return now
    return before.result() or (now if now - claimed_at > LATEST_START else None)
