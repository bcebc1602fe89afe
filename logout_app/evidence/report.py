"""Who was told of which end, when, with which answer: for a person, an application, a time, or any of these together.

The way into the tables is the time of the end (`logout_event_at`) or, for a person, the ends that the audit trail and
the events name (`sessions_event_of_user`, `logout_event_of_user`). Both are bounded: by the window, and by `MOST` rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import QuerySet

from idp.models import Application, User
from logout_app.models import DeliveryState, LogoutDelivery, LogoutEvent
from logout_app.protocol.percentiles import Spread, spread
from sessions_app.audit import history

MOST = 1000  # rows of one report, the newest; it says so when there are more
ENDS_OF_A_PERSON = 500
WINDOW = timedelta(days=1)  # of a report that names no time
WIDEST = timedelta(days=92)  # of a report that names no person
CONFIRMED = DeliveryState.DELIVERED


@dataclass(frozen=True, slots=True)
class Asked:
    """`since` and `until` bound the time of the end. `sub` may be of somebody who is deleted."""

    since: datetime
    until: datetime
    sub: str = ""
    application: Application | None = None


@dataclass(frozen=True, slots=True)
class ToldBy:
    """One receiver on one channel: what it was told of, and what came of it."""

    delivery: LogoutDelivery
    person: str

    @property
    def receiver(self) -> str:
        application = self.delivery.application
        return (application.name if application else "") or self.delivery.client_id

    @property
    def seconds(self) -> float | None:
        """From the end until its answer; None: it has not confirmed it."""
        row = self.delivery
        if row.state != CONFIRMED or row.finished_at is None:
            return None
        return max(0.0, (row.finished_at - row.sign_out.at).total_seconds())


@dataclass(frozen=True, slots=True)
class OfApplication:
    name: str
    client_id: str
    states: Mapping[str, int]
    took: Spread

    def count(self, *states: str) -> int:
        return sum(self.states.get(state, 0) for state in states)

    @property
    def confirmed(self) -> int:
        return self.count(DeliveryState.DELIVERED)

    @property
    def waiting(self) -> int:
        return self.count(DeliveryState.PENDING)

    @property
    def no_answer(self) -> int:
        return self.count(DeliveryState.DEAD)

    @property
    def unconfirmed(self) -> int:
        return self.count(DeliveryState.LOADED)

    @property
    def not_told(self) -> int:
        return self.count(DeliveryState.NOT_TOLD, DeliveryState.DROPPED)


@dataclass(frozen=True, slots=True)
class Evidence:
    asked: Asked
    rows: Sequence[ToldBy]
    applications: Sequence[OfApplication]
    took: Spread
    complete: bool  # False: there are older rows, which are not in it
    reasons: Sequence[tuple[str, str, int]] = field(default=())  # application, why it was not told, how often


def report(asked: Asked) -> Evidence:
    found = list(_deliveries(asked)[: MOST + 1])
    shown = found[:MOST]
    people = _names({row.sub for row in shown})
    rows = [ToldBy(row, people.get(row.sub, row.sub)) for row in shown]
    seconds = [row.seconds for row in rows if row.seconds is not None]
    return Evidence(asked, rows, list(_by_application(rows)), spread(seconds), len(found) <= MOST, _reasons(rows))


def ends_of(sub: str, since: datetime, until: datetime) -> QuerySet[LogoutEvent]:
    """The newest ends of a person: what ended their sessions, and what ended everything of them without a session."""
    of_sessions = history.sign_outs_of_person(sub, since=since, until=until, most=ENDS_OF_A_PERSON)
    own = LogoutEvent.objects.filter(sub=sub, at__gte=since, at__lt=until).order_by("-at")
    pks = {*of_sessions, *own.values_list("pk", flat=True)[:ENDS_OF_A_PERSON]}
    return LogoutEvent.objects.filter(pk__in=pks)


def _deliveries(asked: Asked) -> QuerySet[LogoutDelivery]:
    rows = LogoutDelivery.objects.of_ends().filter(event__at__gte=asked.since, event__at__lt=asked.until)
    if asked.application is not None:
        rows = rows.filter(application=asked.application)
    if asked.sub:
        events = list(ends_of(asked.sub, asked.since, asked.until).values_list("pk", flat=True))
        rows = rows.filter(event__in=events, sub=asked.sub)
    joined = rows.select_related("event", "application").prefetch_related("attempt_log")
    return joined.order_by("-event__at", "-pk")


def _names(subs: set[str]) -> dict[str, str]:
    return {user.user_id: str(user) for user in User.objects.filter(user_id__in=subs).only("user_id", "email", "name")}


def _by_application(rows: Iterable[ToldBy]) -> Iterator[OfApplication]:
    groups: dict[tuple[str, str], list[ToldBy]] = defaultdict(list)
    for row in rows:
        groups[row.receiver, row.delivery.client_id].append(row)
    for (name, client_id), told in sorted(groups.items()):
        states: dict[str, int] = defaultdict(int)
        for row in told:
            states[row.delivery.state] += 1
        yield OfApplication(name, client_id, states, spread(row.seconds for row in told if row.seconds is not None))


def _reasons(rows: Iterable[ToldBy]) -> list[tuple[str, str, int]]:
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        if row.delivery.state in (DeliveryState.NOT_TOLD, DeliveryState.DROPPED, DeliveryState.DEAD):
            counted[row.receiver, row.delivery.last_reason or "no reason is known"] += 1
    return sorted((name, why, count) for (name, why), count in counted.items())
