"""The admin's start page: four figures, and what needs attention, each with the one place that repairs it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Min, QuerySet, Sum
from django.db.models.functions import TruncHour
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince

from idp.connections import health
from idp.crypto import lifetimes
from idp.models import Application, KeyStatus, SigningKey
from logout_app.admin import hearing, trends, trouble
from logout_app.admin.charts import Chart
from logout_app.admin.checklist import FirstStep, checklist
from logout_app.admin.hearing import AppHealth
from logout_app.admin.trends import Window
from logout_app.admin.trouble import Attention
from logout_app.admin.words import counted, listed
from logout_app.admin.words import seconds as _seconds
from logout_app.delivery.channels.registry import without_url
from logout_app.evidence import overdue
from logout_app.models import DeliveryState, LogoutDelivery, LogoutEvent
from sessions_app.audit import history
from sessions_app.audit.events import EventType
from sessions_app.models import SSOSession

DAY = timedelta(days=1)
SAMPLE = 2000  # deliveries from which the median is taken: the newest of the last 24 hours
LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Figure:
    label: str
    value: str
    url: str
    more: str = ""
    points: str = ""  # of an SVG polyline in a box of 100 x 28
    drawn: str = ""  # what the line shows, in words


@dataclass(frozen=True, slots=True)
class StartPage:
    figures: list[Figure] = field(default_factory=list)
    attention: list[Attention] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    window: Window = trends.WINDOWS[0]
    windows: tuple[Window, ...] = trends.WINDOWS
    applications: list[AppHealth] = field(default_factory=list)
    steps: list[FirstStep] = field(default_factory=list)


def overview(user: Any, now: datetime, within: str = "") -> StartPage:
    """Only what this administrator may look at, and repair; `within` is how far back the charts go."""
    wanted = ("sessions_app.view_ssosession", "logout_app.view_logoutevent", "logout_app.view_logoutdelivery")
    if not user.has_perms(wanted):
        return StartPage(attention=[*_connections(user), *_keys(user, now), *_deaf(user)])
    figures = [_live_sessions(now), _sign_outs(now), _median(now), _waiting(now)]
    deliveries = [
        *trouble.workers(),
        *_late(now),
        *_incomplete(now),
        *trouble.failing(now),
        *trouble.streams(),
        *_dead(),
        *trouble.set_aside(),
    ]
    attention = [*deliveries, *_connections(user), *_keys(user, now), *_deaf(user), *_not_told(now)]
    over = trends.window(within)
    return StartPage(
        figures,
        attention,
        trends.charts(over, now),
        over,
        applications=hearing.applications(now) if user.has_perm("idp.view_application") else [],
        steps=checklist(user) if user.is_superuser else [],
    )


def _live_sessions(now: datetime) -> Figure:
    count = SSOSession.objects.live(now).count()
    points = _hourly(now, history.by_hour(EventType.OPENED, since=now - DAY))
    url = reverse("admin:sessions_app_ssosession_changelist") + "?state=live"
    return Figure("live sessions", f"{count}", url, "", points, "Sessions opened in each of the last 24 hours")


def _sign_outs(now: datetime) -> Figure:
    today = LogoutEvent.objects.filter(at__gte=_midnight(now)).aggregate(n=Sum("sessions_ended"))["n"] or 0
    recent = LogoutEvent.objects.filter(at__gt=now - DAY)
    points = _hourly(now, recent.values_list(TruncHour("at", tzinfo=UTC)).annotate(n=Sum("sessions_ended")))
    url = reverse("admin:logout_app_logoutevent_changelist")
    return Figure(
        "sessions signed out today", f"{today}", url, "", points, "Sessions that ended in each of the last 24 hours"
    )


def _median(now: datetime) -> Figure:
    done = LogoutDelivery.objects.of_ends().filter(state=DeliveryState.DELIVERED, finished_at__gt=now - DAY)
    rows = done.order_by("-finished_at").values_list("created_at", "finished_at")[:SAMPLE]
    seconds = [(finished - created).total_seconds() for created, finished in rows if finished]
    url = reverse("admin:logout_app_logoutdelivery_changelist") + "?state__exact=delivered"
    if not seconds:
        return Figure("median time to signed out", "none yet", url, "no delivery in the last 24 hours")
    slow = f"95 of 100 within {_seconds(sorted(seconds)[int(len(seconds) * 0.95)])}" if len(seconds) > 1 else ""
    return Figure("median time to signed out", _seconds(statistics.median(seconds)), url, slow)


def _waiting(now: datetime) -> Figure:
    waiting = LogoutDelivery.objects.filter(state=DeliveryState.PENDING).sendable()
    found = waiting.aggregate(n=Count("pk"), oldest=Min("created_at"))
    more = f"the oldest for {timesince(found['oldest'], now, depth=1)}" if found["n"] else "every application was told"
    url = reverse("admin:logout_app_logoutdelivery_changelist") + "?state__exact=pending"
    return Figure("deliveries waiting", f"{found['n']}", url, more)


def _dead() -> Iterator[Attention]:
    dead = LogoutDelivery.objects.of_ends().filter(state=DeliveryState.DEAD, application__isnull=False).sendable()
    for pk, name, count in (
        dead.values_list("application", "application__name").annotate(n=Count("pk")).order_by("-n")[:10]
    ):
        yield Attention(
            "bad",
            f"{name} never took {count} sign-out{'s' * (count != 1)}: people may still be signed in there.",
            "Look and redeliver",
            reverse("admin:idp_application_change", args=(pk,)),
        )


def _late(now: datetime) -> Iterator[Attention]:
    due = LogoutDelivery.objects.due(now - LATE).aggregate(oldest=Min("due_at"))["oldest"]
    if due is not None:
        yield Attention(
            "bad",
            f"Deliveries are due since {timesince(due, now, depth=1)}: no worker takes them.",
            "Look at the queue",
            reverse("admin:logout_app_logoutdelivery_changelist") + "?state__exact=pending",
        )


def _incomplete(now: datetime) -> Iterator[Attention]:
    """The alarm: an end that is not complete after five minutes. `/metrics` and the log tell the same."""
    found = overdue.incomplete(now)
    if found.ends:
        since = f"?since={timezone.localtime(found.oldest):%Y-%m-%dT%H:%M}" if found.oldest else ""
        yield Attention(
            "bad",
            f"{'More than ' if found.more else ''}{counted(found.ends, 'end is', 'ends are')} not complete after five minutes: "
            f"{listed(list(found.applications))} {'have' if len(found.applications) > 1 else 'has'} not confirmed.",
            "See who was not told",
            reverse("admin:evidence") + since,
        )


def _connections(user: Any) -> Iterator[Attention]:
    """What the last tests of connections found, one line for each: failing upstreams, certificates that expire."""
    if not user.has_perm("idp.view_connection"):
        return
    for connection, finding in health.complaints():
        yield Attention(
            "bad" if finding.level == "error" else "warn",
            f"{connection}: {finding.text}",
            "Look at the connection",
            reverse("admin:idp_connection_change", args=(connection.pk,)),
        )


def _keys(user: Any, now: datetime) -> Iterator[Attention]:
    if not user.has_perm("idp.view_signingkey"):
        return
    old = SigningKey.objects.filter(status=KeyStatus.ACTIVE, activated_at__lt=now - lifetimes.period() - DAY)
    for key in old:
        yield Attention(
            "warn",
            f"The {key.algorithm} signing key is {(now - (key.activated_at or now)).days} days old and was not rotated.",
            "Rotate it",
            reverse("admin:idp_signingkey_change", args=(key.pk,)),
        )


def _deaf(user: Any) -> Iterator[Attention]:
    if not user.has_perm("idp.view_application"):
        return
    signs_in = [
        application
        for application in Application.objects.filter(without_url(), enabled=True)
        if "authorization_code" in application.grant_types
    ]
    if signs_in:
        names = ", ".join(application.name or application.client_id for application in signs_in[:5])
        yield Attention(
            "warn",
            f"{len(signs_in)} application{'s' * (len(signs_in) != 1)} cannot be told of sign-outs: {names}{' ...' if len(signs_in) > 5 else ''}",
            "Give a logout URL",
            reverse("admin:idp_application_change", args=(signs_in[0].pk,)),
        )


def not_told(now: datetime) -> QuerySet[LogoutDelivery]:
    """Rows of today: an application took part in a session that ended, and there was no way to tell it."""
    return LogoutDelivery.objects.filter(state=DeliveryState.NOT_TOLD, finished_at__gte=_midnight(now))


def not_told_url(now: datetime, application: Application | None = None) -> str:
    """The list of these rows."""
    query = {"state__exact": DeliveryState.NOT_TOLD.value, "finished_at__gte": _midnight(now).isoformat()}
    if application is not None:
        query["application__id__exact"] = str(application.pk)
    return f"{reverse('admin:logout_app_logoutdelivery_changelist')}?{urlencode(query)}"


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _not_told(now: datetime) -> Iterator[Attention]:
    pairs = not_told(now).order_by().values_list("client_id", "application__name").distinct()[:100]
    names = sorted(name or client_id for client_id, name in pairs)
    if names:
        many = len(names) != 1
        shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        yield Attention(
            "warn",
            f"{len(names)} application{'s were' if many else ' was'} not told of a sign-out today: {shown}. "
            "People may still be signed in there.",
            "Look why",
            not_told_url(now),
        )


def _hourly(now: datetime, rows: Iterable[tuple[datetime, int]]) -> str:
    """24 values as the points of a polyline; empty if nothing happened."""
    counts: Counter[int] = Counter()
    for hour, count in rows:
        counts[min(23, max(0, 23 - int((now - hour).total_seconds() // 3600)))] += count or 0
    highest = max(counts.values(), default=0)
    if not highest:
        return ""
    return " ".join(f"{i * 100 / 23:.1f},{26 - 24 * counts[i] / highest:.1f}" for i in range(24))
