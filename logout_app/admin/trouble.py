"""What is wrong with deliveries right now: applications that fail, rows that cannot be processed, workers that do not work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Max, Min, Q
from django.urls import reverse
from django.utils.timesince import timesince

from logout_app.delivery import reports
from logout_app.delivery.receiver import STREAM
from logout_app.models import DeliveryState, DeliveryTally, LogoutDelivery, StreamKind
from logout_app.protocol.retry import SET_ASIDE

FAILING_TRIES = 3
FAILING_FOR = timedelta(minutes=2)
MOST = 10  # receivers that are named
FAILED = Q(attempts__gt=0) & (Q(last_status__isnull=False) | ~Q(last_reason=""))


@dataclass(frozen=True, slots=True)
class Attention:
    level: str  # bad or warn
    text: str
    action: str
    url: str


def failing(now: datetime) -> Iterator[Attention]:
    """Receivers that fail for minutes, or behind whose open breaker people wait."""
    waiting = LogoutDelivery.objects.filter(state=DeliveryState.PENDING, receiver__gt="").addressed()
    waiting = waiting.exclude(receiver__startswith=STREAM)
    by_receiver = waiting.order_by().values("receiver", "application", "application__name", "client_id")
    open_now = _open_breakers(now)
    found = by_receiver.annotate(
        people=Count("sub", distinct=True),
        tries=Max("attempts", filter=FAILED),
        since=Min("created_at", filter=FAILED),
    ).filter(
        Q(tries__gte=FAILING_TRIES)
        | Q(since__lte=now - FAILING_FOR)
        | Q(client_id__in=open_now)
        | Q(receiver__in=open_now)
    )
    for row in found.order_by("-people")[:MOST]:
        yield _failing(row, now)


def streams() -> Iterator[Attention]:
    """Event streams whose receivers do not take what is next; what comes after it waits."""
    rows = LogoutDelivery.objects.filter(FAILED, receiver__startswith=STREAM, state=DeliveryState.PENDING)
    tried = rows.filter(attempts__gte=FAILING_TRIES).select_related("stream_item__stream")
    for row in tried.order_by("receiver", "pk")[:MOST]:
        stream = row.stream_item.stream
        kind = "webhook" if stream.kind == StreamKind.WEBHOOK else "outgoingstream"
        url = reverse(f"admin:logout_app_{kind}_change", args=(stream.pk,))
        yield Attention(
            "bad", f"{stream} takes no events: {_last_answer(row.receiver or '')}.", "Look at the stream", url
        )


def _failing(row: Mapping[str, Any], now: datetime) -> Attention:
    people, since = row["people"], row["since"]
    began = f"for {timesince(since, now, depth=1)}" if since else "now"
    return Attention(
        "bad",
        f"{row['application__name'] or row['client_id']} fails {began}: {_last_answer(row['receiver'])}. "
        f"{people} {'person waits' if people == 1 else 'people wait'} to be signed out there.",
        "Look and send again",
        _deliveries(**_of(row), state__exact="pending"),
    )


def _of(row: Mapping[str, Any]) -> dict[str, object]:
    """The filter of the list of deliveries."""
    application = row["application"]
    return {"application__id__exact": application} if application else {"receiver__exact": row["receiver"]}


def _last_answer(receiver: str) -> str:
    """Of the delivery that was tried most often. `sendable`, as in the index."""
    rows = LogoutDelivery.objects.filter(FAILED, receiver=receiver, state=DeliveryState.PENDING).sendable()
    last = rows.order_by("-attempts", "-due_at").values_list("last_status", "last_reason").first()
    status, reason = last or (None, "")
    if status is None:
        return f"no answer ({reason})" if reason else "no answer yet"
    return (
        f"its last answer was {status} ({reason})"
        if reason not in ("", str(status))
        else f"its last answer was {status}"
    )


def _open_breakers(now: datetime) -> list[str]:
    open_now = DeliveryTally.objects.filter(metric="breaker", value__gt=now.timestamp())
    return list(open_now.values_list("label", flat=True)[:1000])


def set_aside() -> Iterator[Attention]:
    """Deliveries that no worker could process: the reason is at each."""
    count = LogoutDelivery.objects.filter(state=DeliveryState.DEAD, last_reason__startswith=SET_ASIDE).count()
    if count:
        yield Attention(
            "bad",
            f"{count} deliver{'y was' if count == 1 else 'ies were'} set aside, because no worker could process "
            f"{'it' if count == 1 else 'them'}: people may still be signed in.",
            "Look at what is wrong",
            _deliveries(state__exact="dead", last_reason__startswith=SET_ASIDE.strip()),
        )


def workers() -> Iterator[Attention]:
    """Drains that do not run, or cannot write down what they hear, and tasks that do not run."""
    drains = reports.look()
    if drains.silent_for and not drains.running:
        yield _workers(f"No worker has reported for {_span(drains.silent_for)}: no application hears of a sign-out.")
    elif drains.stuck_for:
        why = f" ({drains.reason})" if drains.reason else ""
        yield _workers(
            f"Answers of applications cannot be recorded for {_span(timedelta(seconds=drains.stuck_for))}{why}: "
            f"{drains.held} wait, and nothing more is sent."
        )
    if idle := drains.idle_too_long:
        yield _workers(
            f"No scheduled task ran for {_span(timedelta(seconds=idle))}: sessions past their limit do not end, and mail "
            "waits. The beat may be away, or the queue stand still."
        )


def _workers(text: str) -> Attention:
    return Attention("bad", text, "Look at the workers", reverse("admin:logout_app_drainreport_changelist"))


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _deliveries(**query: object) -> str:
    return reverse("admin:logout_app_logoutdelivery_changelist") + "?" + urlencode(query)
