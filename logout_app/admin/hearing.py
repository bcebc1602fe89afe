"""Whether each application hears of sign-outs: last told, failing since, how fast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min
from django.urls import reverse
from django.utils.timesince import timesince

from idp.models import Application
from logout_app.admin.trouble import FAILED
from logout_app.admin.words import seconds
from logout_app.delivery.channels.registry import without_url
from logout_app.models import DeliveryState, LogoutDelivery
from logout_app.protocol.percentiles import spread

DAY = timedelta(days=1)
SAMPLE = 2000  # the newest answers of the last 24 hours: what is older is on the application's page
MOST = 50
ORDER = ("bad", "run", "warn", "fine", "quiet")


@dataclass(frozen=True, slots=True)
class AppHealth:
    name: str
    url: str
    level: str  # bad, run, warn, fine or quiet
    state: str
    told: datetime | None
    median: str
    waiting: int


def applications(now: datetime) -> list[AppHealth]:
    """Those with trouble first. Four statements, however many applications there are."""
    enabled = Application.objects.filter(enabled=True, authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE)
    deaf = set(Application.objects.filter(without_url(), enabled=True).values_list("pk", flat=True))
    answers, waiting = _answers(now), _waiting()
    found = [
        _hearing(one, one.pk in deaf, answers.get(one.pk, []), waiting.get(one.pk, {}), now)
        for one in enabled.order_by("name", "pk")[:MOST]
    ]
    return sorted(found, key=lambda one: (ORDER.index(one.level), one.name.casefold()))


Answer = tuple[str, datetime, datetime]


def _answers(now: datetime) -> Mapping[int, list[Answer]]:
    """Newest first, by application."""
    rows = (
        LogoutDelivery.objects.of_ends()
        .filter(finished_at__gt=now - DAY, application__isnull=False)
        .exclude(state__in=(DeliveryState.NOT_TOLD, DeliveryState.DROPPED))
    )
    by_application: dict[int, list[Answer]] = defaultdict(list)
    columns = ("application", "state", "created_at", "finished_at")
    for application, state, created, finished in rows.order_by("-finished_at").values_list(*columns)[:SAMPLE]:
        by_application[application].append((state, created, finished))
    return by_application


def _waiting() -> Mapping[int, Mapping[str, Any]]:
    rows = LogoutDelivery.objects.filter(state=DeliveryState.PENDING, application__isnull=False).sendable()
    grouped = (
        rows.order_by()
        .values("application")
        .annotate(n=Count("pk"), since=Min("created_at", filter=FAILED), tries=Max("attempts", filter=FAILED))
    )
    return {row["application"]: row for row in grouped}


def _hearing(
    one: Application, deaf: bool, answers: list[Answer], waiting: Mapping[str, Any], now: datetime
) -> AppHealth:
    told = next((finished for state, _, finished in answers if state == DeliveryState.DELIVERED), None)
    took = spread((finished - created).total_seconds() for state, created, finished in answers if state == "delivered")
    level, words = _state(deaf, answers, waiting, told, now)
    median = seconds(took.p50) if took.count else ""
    url = reverse("admin:idp_application_change", args=(one.pk,))
    return AppHealth(one.name or one.client_id, url, level, words, told, median, int(waiting.get("n") or 0))


def _state(
    deaf: bool, answers: list[Answer], waiting: Mapping[str, Any], told: datetime | None, now: datetime
) -> tuple[str, str]:
    if deaf:
        return "warn", "Cannot be told: it has no logout URL"
    if since := waiting.get("since"):
        return "bad", f"Failing for {timesince(since, now, depth=1)}"
    if answers and answers[0][0] == DeliveryState.DEAD:
        return "bad", f"Did not answer {timesince(answers[0][2], now, depth=1)} ago"
    if waiting.get("n"):
        return "run", "Is being told"
    if told:
        return "fine", f"Told {timesince(told, now, depth=1)} ago"
    return "quiet", "Nothing to tell in 24 hours"
