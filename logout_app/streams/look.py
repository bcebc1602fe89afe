"""What administrators see of a stream: how much waits, for how long, what was refused, and when it was last verified. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.protocol.signal_events import VERIFICATION
from logout_app.models import DeliveryState, EventStream, StreamKind, StreamState
from logout_app.streams import feed
from logout_app.streams.manage import TEST
from sessions_app.audit import history

MOST = 10_000  # that are counted


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """`waiting`: planned and held, counted up to MOST. `lag`: the age of the oldest of them."""

    waiting: int
    lag: timedelta | None
    dead: int
    verified_at: datetime | None
    last_answer: str  # why what waits was not taken, or ""

    @property
    def waiting_in_words(self) -> str:
        return f"{MOST}+" if self.waiting >= MOST else str(self.waiting)


def health(stream: EventStream, at: datetime) -> StreamHealth:
    """A handful of statements for one stream; lists show few."""
    rows = feed.waiting(stream).order_by("pk")
    first = rows.filter(stream_item__line__isnull=False).select_related("stream_item").first()
    held = 0
    if stream.status != StreamState.DISABLED:
        held = history.count_between(stream.after, feed.types_of(stream), MOST)
    line = history.line(first.stream_item.line) if first and first.stream_item.line else None
    if line is None and held:
        line = next(iter(history.between(stream.after, history.newest(), feed.types_of(stream), 1)), None)
    failed = rows.filter(attempts__gt=0).exclude(last_reason="").values_list("last_reason", flat=True).first()
    return StreamHealth(
        waiting=min(MOST, held + rows.count()),
        lag=max(timedelta(), at - line.at) if line else None,
        dead=stream.items.filter(delivery__state=DeliveryState.DEAD).count(),
        verified_at=_verified_at(stream),
        last_answer=failed or "",
    )


def _verified_at(stream: EventStream) -> datetime | None:
    """When its receiver last took a test event."""
    kind = VERIFICATION if stream.kind == StreamKind.SSF else TEST
    taken = stream.items.filter(type=kind, delivery__state=DeliveryState.DELIVERED)
    return taken.order_by("-pk").values_list("delivery__finished_at", flat=True).first()
