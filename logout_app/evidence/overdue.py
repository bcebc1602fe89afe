"""Ends that are not complete after five minutes (IPSIE's figure): somebody is signed out here and perhaps not there.

An end is complete when every application that can be told has said so. What gave up is as incomplete as what still waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Greatest

from logout_app.models import DeliveryState, LogoutDelivery

COMPLETE_WITHIN = timedelta(minutes=5)
REMEMBERED = timedelta(days=1)  # for which a delivery that gave up still is an alarm
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # a row that PostgreSQL dates before Python's first year is as late as this
MOST = 1000  # rows that are looked at: more is not a longer list, but the same alarm


@dataclass(frozen=True, slots=True)
class Incomplete:
    """`more`: there are others that were not counted."""

    ends: int = 0
    deliveries: int = 0
    oldest: datetime | None = None
    applications: tuple[str, ...] = ()
    more: bool = False


def incomplete(at: datetime) -> Incomplete:
    """Two statements, each of a bounded number of rows through a partial index."""
    waiting = _rows(LogoutDelivery.objects.of_ends().filter(_late(at), state=DeliveryState.PENDING))
    gave_up = _rows(
        LogoutDelivery.objects.of_ends().filter(_late(at), state=DeliveryState.DEAD, finished_at__gt=at - REMEMBERED)
    )
    return _summed([*waiting, *gave_up], more=len(waiting) == MOST or len(gave_up) == MOST)


def _late(at: datetime) -> Q:
    return Q(created_at__lte=at - COMPLETE_WITHIN)


Row = tuple[int, datetime, str, str | None]


def _rows(found: QuerySet[LogoutDelivery]) -> list[Row]:
    """What a worker sends, to receivers that are still there; frames are the browser's, and are given up when its page closes."""
    began = Greatest("created_at", Value(EARLIEST))
    return list(
        found.addressed().order_by().values_list("event", began, "client_id", "application__name")[:MOST]  # type: ignore[attr-defined]
    )


def _summed(rows: Iterable[Row], *, more: bool) -> Incomplete:
    found = list(rows)
    names = sorted({name or client_id for _, _, client_id, name in found})
    return Incomplete(
        ends=len({event for event, *_ in found}),
        deliveries=len(found),
        oldest=min((created for _, created, *_ in found), default=None),
        applications=tuple(names),
        more=more,
    )
