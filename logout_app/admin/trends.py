"""The overview's charts: sign-outs, and how long they took to be true everywhere, over a day, a week or a month.

Every part of time is read for itself through the index of its column, and at most `SAMPLE` rows of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Sum
from django.db.models.functions import TruncHour
from django.utils import timezone

from logout_app.admin.charts import Chart, Series, of_counts, of_spans
from logout_app.admin.words import counted, seconds
from logout_app.models import DeliveryState, LogoutDelivery, LogoutEvent
from logout_app.protocol.percentiles import Spread, spread

SAMPLE = 500  # the newest of each part
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Window:
    name: str
    words: str
    step: timedelta
    parts: int
    written: str  # how the beginning of a part is

    def begins(self, now: datetime) -> list[datetime]:
        """Of each part, oldest first; they begin with whole hours."""
        last = now.replace(minute=0, second=0, microsecond=0)
        return [last - self.step * back for back in range(self.parts - 1, -1, -1)]


WINDOWS = (
    Window("day", "24 hours", HOUR, 24, "%H:%M"),
    Window("week", "7 days", 6 * HOUR, 28, "%a %d, %H:%M"),
    Window("month", "30 days", 24 * HOUR, 30, "%m-%d"),
)


def window(name: str) -> Window:
    return next((one for one in WINDOWS if one.name == name), WINDOWS[0])


def charts(over: Window, now: datetime) -> list[Chart]:
    begins = over.begins(now)
    times = [timezone.localtime(begin).strftime(over.written) for begin in begins]
    return [_ended(over, begins, times), _took(over, begins, times)]


def _ended(over: Window, begins: Sequence[datetime], times: Sequence[str]) -> Chart:
    counts: Counter[int] = Counter()
    hours = (
        LogoutEvent.objects.filter(at__gte=begins[0])
        .values_list(TruncHour("at", tzinfo=UTC))
        .annotate(n=Sum("sessions_ended"))
    )
    for hour, count in hours:
        counts[min(over.parts - 1, (hour - begins[0]) // over.step)] += count or 0
    summary = f"{counted(sum(counts.values()), 'session')} ended in {over.words}."
    series = Series("sessions ended", "bar", [counts[part] for part in range(over.parts)])
    return of_counts("Sign-outs", summary, times, series)


def _took(over: Window, begins: Sequence[datetime], times: Sequence[str]) -> Chart:
    found = [_spread(begin, over.step) for begin in begins]
    median = Series("median", "bar-median", [one.p50 if one.count else None for one in found])
    most = Series("95 of 100 within", "bar-most", [one.p95 if one.count else None for one in found])
    known = [one for one in found if one.count]
    summary = (
        f"In the worst part of {over.words} 95 of 100 were confirmed within {seconds(max(one.p95 for one in known))}."
        if known
        else f"No application confirmed a sign-out in {over.words}."
    )
    return of_spans("Time to signed out", summary, times, [most, median])


def _spread(begin: datetime, step: timedelta) -> Spread:
    rows = LogoutDelivery.objects.of_ends().filter(
        state=DeliveryState.DELIVERED, finished_at__gte=begin, finished_at__lt=begin + step
    )
    pairs = rows.order_by("-finished_at").values_list("created_at", "finished_at")[:SAMPLE]
    return spread(max(0.0, (finished - created).total_seconds()) for created, finished in pairs if finished)
