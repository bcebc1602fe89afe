"""What /metrics and /readyz say about deliveries, and about the keys that sign.

Web processes answer, workers do the work, perhaps on other machines: no process's memory and no shared folder knows the
whole. The workers therefore count in the database, in the transaction of what they count (`DeliveryTally`), and the
rest is read from the outbox through its partial indexes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, Min
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from idp.connections import health
from idp.database.standby import watch
from idp.models import KeyStatus, SigningKey
from logout_app.delivery import receiver, reports, tallies, violations
from logout_app.delivery.channels.registry import known as known_channel
from logout_app.evidence import overdue
from logout_app.models import DeliveryState, LogoutDelivery

OLD_BACKLOG = timedelta(minutes=1)
MOST_APPLICATIONS = 20  # or other receivers, that /metrics names: those for which most deliveries wait
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
    counts: Counter[str] = Counter()
    for channel, count in rows.order_by().values_list("channel").annotate(Count("pk")):
        counts[known_channel(channel)] += count
    return Backlog(dict(counts), max(timedelta(), at - oldest) if oldest else timedelta())


def backlog_of_applications() -> list[tuple[str, int, datetime]]:
    """Receiver, deliveries that wait and the oldest one's beginning, the longest backlog first; one statement."""
    rows = LogoutDelivery.objects.filter(state=DeliveryState.PENDING, receiver__gt="").addressed()
    counted = rows.order_by().values("receiver", "client_id").annotate(n=Count("pk"), since=Min("created_at"))
    longest = counted.order_by("-n", "client_id").values_list("receiver", "client_id", "n", "since")
    return [(receiver.named(key, client_id), n, since) for key, client_id, n, since in longest[:MOST_APPLICATIONS]]


def clock_difference(at: datetime) -> timedelta:
    """How far the database's clock is from `at`, which was just read."""
    database: datetime | None = connection.clock()  # type: ignore[attr-defined]  # of idp/database
    return abs(database - at) if database else timedelta()


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
        yield _signals(known)
        yield _violations(known)
        yield _pending(waiting)
        yield GaugeMetricFamily(
            "curfew_logout_oldest_due_seconds", "Age of the oldest delivery that is due.", waiting.age.total_seconds()
        )
        yield from _applications(self._at)
        yield from _incomplete(self._at)
        yield _aside(known)
        yield from _drains()
        yield _purges(known)
        yield _latency(known)
        yield _breakers(known, self._at)
        yield _keys(self._at)
        yield _connections()
        yield from _standby()
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
    text = "Global Token Revocation requests, by our answer."
    return _by_label("curfew_revocation_requests", text, known, "gtr", "status")


def _signals(known: Tallies) -> Metric:
    text = "Security events of identity providers, by what was done or why they were refused."
    return _by_label("curfew_signals", text, known, "signals", "outcome")


def _violations(known: Tallies) -> Metric:
    text = "What browsers report that our Content-Security-Policy forbade, by directive."
    return _by_label("curfew_csp_reports", text, known, violations.METRIC, "directive")


def _purges(known: Tallies) -> Metric:
    text = "Runs of the purge that could not delete a kind of rows."
    return _by_label("curfew_purge_failures", text, known, "purge_failed", "kind")


def _by_label(name: str, text: str, known: Tallies, metric: str, label: str) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for (kind, key), value in sorted(known.items()):
        if kind == metric:
            family.add_metric([key], value)
    return family


def _pending(waiting: Backlog) -> Metric:
    family = GaugeMetricFamily("curfew_logout_pending", "Deliveries that have not ended yet.", labels=("channel",))
    for channel, count in sorted(waiting.pending.items()):
        family.add_metric([channel], count)
    return family


def _applications(at: datetime) -> Iterator[Metric]:
    """Only those that have a backlog, and of these the largest: as many series as there is trouble."""
    waiting = GaugeMetricFamily(
        "curfew_logout_application_pending",
        "Deliveries that wait, for the applications that have most.",
        labels=("client_id",),
    )
    age = GaugeMetricFamily(
        "curfew_logout_application_oldest_seconds", "Age of the oldest of them.", labels=("client_id",)
    )
    for client_id, count, since in backlog_of_applications():
        waiting.add_metric([client_id], count)
        age.add_metric([client_id], max(0.0, (at - since).total_seconds()))
    yield waiting
    yield age


def _incomplete(at: datetime) -> Iterator[Metric]:
    found = overdue.incomplete(at)
    yield GaugeMetricFamily(
        "curfew_ends_incomplete",
        "Ends that some application has not confirmed after five minutes, or gave up within a day.",
        found.ends,
    )
    age = (at - found.oldest).total_seconds() if found.oldest else 0.0
    yield GaugeMetricFamily("curfew_ends_incomplete_oldest_seconds", "Age of the oldest of them.", age)


def _aside(known: Tallies) -> Metric:
    family = CounterMetricFamily(
        "curfew_set_aside",
        "Deliveries, by channel, and messages of the queue that cannot be processed.",
        labels=("what",),
    )
    for (kind, what), value in sorted(known.items()):
        if kind == "aside":
            family.add_metric([what], value)
    return family


def _drains() -> Iterator[Metric]:
    drains = reports.look()
    yield GaugeMetricFamily("curfew_drain_workers", "Workers that were heard of within half a minute.", drains.running)
    yield GaugeMetricFamily(
        "curfew_drain_held", "Answers of applications that workers know and the database does not yet.", drains.held
    )
    yield GaugeMetricFamily(
        "curfew_drain_stuck_seconds",
        "For how long a worker could record nothing, and claims nothing.",
        drains.stuck_for,
    )
    if drains.idle_for is not None:
        yield GaugeMetricFamily(
            "curfew_task_last_run_seconds", "For how long no worker has run a scheduled task.", drains.idle_for
        )


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


def _keys(at: datetime) -> Metric:
    text = "For how long the key has signed that signs now."
    family = GaugeMetricFamily("curfew_signing_key_age_seconds", text, labels=("algorithm",))
    for key in SigningKey.objects.filter(status=KeyStatus.ACTIVE).order_by("algorithm"):
        family.add_metric([key.algorithm], (at - (key.activated_at or key.created_at)).total_seconds())
    return family


def _standby() -> Iterator[Metric]:
    """As this web server sees it; each has its own way there."""
    if not watch.is_configured():
        return
    found = watch.look()
    yield GaugeMetricFamily(
        "curfew_standby_used", "1: lists of administrators are read from the standby.", float(not found.problem)
    )
    yield GaugeMetricFamily(
        "curfew_standby_behind_seconds", "Age of the newest change that the standby has, 0 if it has all.", found.behind
    )


def _connections() -> Metric:
    """Of the last tests: who cannot sign anybody in, and whose certificate ends within a month."""
    text = "What the last test of a connection found: it fails, or something of it expires soon."
    family = GaugeMetricFamily("curfew_connection_problems", text, labels=("connection", "kind"))
    found = Counter((row.name, "expires" if finding.expires else "fails") for row, finding in health.complaints())
    for (name, kind), number in sorted(found.items()):
        family.add_metric([name, kind], number)
    return family
