"""Reading the audit trail as it grows: every line once, oldest first, also lines that are committed late.

Keys are given when a line is written, and lines are seen when their transaction is committed, which may be later than others
with a higher key. So a line is read when a key that is not lower was seen `patience` ago: whatever has a lower key began
before that, and no transaction lasts so long (`idp/database/limits.py`). Clocks of other machines do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from sessions_app.audit.events import EventType
from sessions_app.audit.history import newest
from sessions_app.models import SessionEvent, TrailPosition

BATCH = 500
Lines = list[SessionEvent]


def follow(
    name: str, kinds: Collection[EventType] | None, take: Callable[[Lines], None], *, at: datetime, patience: timedelta
) -> int:
    """Hand on the next lines of these kinds, None: of all; returns how many: BATCH, if there may be more.

    What `take` writes is committed with the position. Who follows for the first time begins with what is written from now on.
    """
    with transaction.atomic():
        _begun(name)
        position = _held(name).get()
        until = _ripe(position, at - patience)
        rows = SessionEvent.objects.filter(pk__gt=position.after, pk__lte=until)
        if kinds is not None:
            rows = rows.filter(type__in=[kind.value for kind in kinds])
        lines = list(rows.order_by("pk")[:BATCH])
        take(lines)
        position.after = lines[-1].pk if len(lines) == BATCH else until
        position.marks = _marks(position, at)
        position.save()
    return len(lines)


def stand_still(name: str) -> None:
    """Inside a transaction: until its end nobody takes lines by this name, nor is in the midst of it."""
    _held(name).first()


def _held(name: str) -> QuerySet[TrailPosition]:
    return TrailPosition.objects.select_for_update(no_key=True).filter(name=name)


def _begun(name: str) -> None:
    if not TrailPosition.objects.filter(name=name).exists():
        TrailPosition.objects.bulk_create([TrailPosition(name=name, after=newest())], ignore_conflicts=True)


def _ripe(position: TrailPosition, since: datetime) -> int:
    """The highest key that was seen by then."""
    ripe = (key for moment, key in position.marks if datetime.fromisoformat(moment) <= since)
    return max(ripe, default=position.after)


def _marks(position: TrailPosition, at: datetime) -> list[list[str | int]]:
    """Those that are not reached yet, and the newest line of this moment. One a run: as many as runs fit into the patience."""
    marks = [[moment, key] for moment, key in position.marks if key > position.after]
    last = newest()
    known = max((key for _, key in position.marks), default=position.after)
    return [*marks, [at.isoformat(), last]] if last > known else marks
