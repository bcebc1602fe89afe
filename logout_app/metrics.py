"""What /metrics and /readyz say about deliveries.

Web processes answer, workers do the work, perhaps on other machines: no process's memory and no shared folder knows the
whole. The workers therefore count in the database, in the transaction of what they count (`DeliveryTally`), and the
rest is read from the outbox through its partial indexes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, Min
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from logout_app import tallies
from logout_app.models import DeliveryState, LogoutDelivery

OLD_BACKLOG = timedelta(minutes=1)
CLOCK_TOLERANCE = timedelta(seconds=5)

Tallies = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Backlog:
    """Rows that nobody tells although it is their time; `age` of the one that waits longest."""

    pending: dict[str, int]  # by channel
    age: timedelta


def backlog(at: datetime) -> Backlog:
    rows = LogoutDelivery.objects.filter(state=DeliveryState.PENDING)
    sendable = LogoutDelivery.objects.all().due(at)
    oldest = sendable.aggregate(oldest=Min("due_at"))["oldest"]
    counts = dict(rows.order_by().values_list("channel").annotate(Count("pk")))
    return Backlog(counts, max(timedelta(), at - oldest) if oldest else timedelta())


def clock_difference(at: datetime) -> timedelta:
    """How far the database's clock is from `at`, which was just read."""
    if connection.vendor != "postgresql":
        return timedelta()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        database: datetime = cursor.fetchone()[0]
    return abs(database - at)


def render(at: datetime) -> bytes:
    """The exposition in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Deliveries(at))
    return generate_latest(registry)


class _Deliveries(Collector):
    def __init__(self, at: datetime) -> None:
        self._at = at

    def collect(self) -> Iterator[Metric]:
        tallies.add_lost_log_lines()
        known = tallies.read()
        waiting = backlog(self._at)
        yield _counter(
            "curfew_logout_attempts", "POSTs to applications, by what came of them.", known, "attempts", "outcome"
        )
        yield _counter("curfew_logout_deliveries", "Deliveries that ended, by how.", known, "finished", "state")
        yield _revocations(known)
        yield _pending(waiting)
        yield GaugeMetricFamily(
            "curfew_logout_oldest_due_seconds", "Age of the oldest delivery that is due.", waiting.age.total_seconds()
        )
        yield _latency(known)
        yield _breakers(known, self._at)
        lost = CounterMetricFamily("curfew_log_lines_lost", "Log lines that stderr did not take.")
        lost.add_metric([], known.get(("log_lines_lost", ""), 0.0))
        yield lost


def _counter(name: str, text: str, known: Tallies, metric: str, label: str) -> Metric:
    family = CounterMetricFamily(name, text, labels=("channel", label))
    for (kind, key), value in sorted(known.items()):
        if kind == metric:
            family.add_metric(key.split(":"), value)
    return family


def _revocations(known: Tallies) -> Metric:
    family = CounterMetricFamily(
        "curfew_revocation_requests", "Global Token Revocation requests, by our answer.", labels=("status",)
    )
    for (kind, status), value in sorted(known.items()):
        if kind == "gtr":
            family.add_metric([status], value)
    return family


def _pending(waiting: Backlog) -> Metric:
    family = GaugeMetricFamily("curfew_logout_pending", "Deliveries that have not ended yet.", labels=("channel",))
    for channel, count in sorted(waiting.pending.items()):
        family.add_metric([channel], count)
    return family


def _latency(known: Tallies) -> Metric:
    total, buckets = 0.0, []
    for bound in (*map(str, tallies.BUCKETS), "+Inf"):
        total += known.get(("latency", bound), 0.0)
        buckets.append((bound, total))
    family = HistogramMetricFamily("curfew_logout_told_seconds", "From a session's end to the application's answer.")
    family.add_metric([], buckets, known.get(("latency_sum", ""), 0.0))
    return family


def _breakers(known: Tallies, at: datetime) -> Metric:
    """A worker notes until when its breaker stays open; a worker that dies leaves nothing open for ever."""
    family = GaugeMetricFamily(
        "curfew_logout_breaker_open", "1: the application fails and gets one probe at a time.", labels=("client_id",)
    )
    for (kind, client_id), until in sorted(known.items()):
        if kind == "breaker":
            family.add_metric([client_id], float(until > at.timestamp()))
    return family
