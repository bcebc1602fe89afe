"""What others read of the audit trail: the story of a session, what an hour brought."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.db.models.functions import TruncHour

from sessions_app.audit import events
from sessions_app.audit.events import EventGroup, EventType
from sessions_app.models import SessionEvent

LINES = 200  # of one session, at most
Recorded = SessionEvent  # a line as readers of several get it
VIEW, LIST = "sessions_app.view_sessionevent", "sessions_app_sessionevent_changelist"  # the admin's permission and page


@dataclass(frozen=True, slots=True)
class Line:
    """One line, for people. `origin`: application, address and browser, as far as they are known."""

    at: datetime
    words: str
    origin: list[str]
    data: Mapping[str, Any]


def of_session(sid: str, *, without: Iterable[EventType] = ()) -> list[Line]:
    """Oldest first."""
    rows = SessionEvent.objects.filter(sid=sid).exclude(type__in=list(without)).order_by("at")
    return [
        Line(
            row.at,
            events.words(row.type),
            [str(fact) for fact in (row.client_id, row.ip, row.user_agent) if fact],
            row.data,
        )
        for row in rows[:LINES]
    ]


def naming(sub: str) -> QuerySet[Recorded]:
    """All that is kept, also of somebody who is deleted since."""
    return SessionEvent.objects.filter(sub=sub)


def sign_outs_of(sid: str) -> list[int]:
    """The keys of the sign-outs that ended this session."""
    ends = SessionEvent.objects.filter(sid=sid, type=EventType.ENDED).values_list("data", flat=True)
    return [data["event"] for data in ends if data.get("event")]


def sign_outs_of_person(sub: str, *, since: datetime, until: datetime, most: int) -> list[int]:
    """The keys of the newest sign-outs that ended a session of this person, who may be deleted since."""
    lines = SessionEvent.objects.filter(sub=sub, type=EventType.ENDED, at__gte=since, at__lt=until).order_by("-at")
    return list(
        dict.fromkeys(data["event"] for data in lines.values_list("data", flat=True)[:most] if data.get("event"))
    )


def newest() -> int:
    """The key of the newest line that is seen; 0: there is none."""
    return SessionEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def between(after: int, until: int, types: Collection[str], most: int) -> list[Recorded]:
    """Lines of these types (empty: of all) by their keys, the oldest first."""
    rows = SessionEvent.objects.filter(pk__gt=after, pk__lte=until)
    return list((rows.filter(type__in=types) if types else rows).order_by("pk")[:most])


def count_between(after: int, types: Collection[str], most: int) -> int:
    """How many there are after a line, counted up to `most`."""
    rows = SessionEvent.objects.filter(pk__gt=after)
    return (rows.filter(type__in=types) if types else rows).order_by("pk")[:most].count()


def before_first_from(at: datetime) -> int:
    """A key that all lines of this moment and later are after."""
    first = SessionEvent.objects.filter(at__gte=at).aggregate(first=Min("pk"))["first"]
    return newest() if first is None else first - 1


def last_before(at: datetime) -> int:
    """The key of the last line before this moment; 0: there is none."""
    return SessionEvent.objects.filter(at__lt=at).order_by("-pk").values_list("pk", flat=True).first() or 0


def line(key: int) -> Recorded | None:
    return SessionEvent.objects.filter(pk=key).first()


def knows(sub: str) -> bool:
    """Whether any line is about this person, who may be deleted since."""
    return SessionEvent.objects.filter(sub=sub).exists()


def of_person(sub: str, groups: Iterable[EventGroup], most: int) -> list[SessionEvent]:
    """The newest lines of these groups that name this person."""
    types = [kind for group in groups for kind in events.of_group(group)]
    return list(SessionEvent.objects.filter(sub=sub, type__in=types).order_by("-at")[:most])


def openings_before(line: SessionEvent, most: int) -> list[SessionEvent]:
    """The newest earlier sign-ins of the same person."""
    rows = SessionEvent.objects.filter(sub=line.sub, type=EventType.OPENED, at__lte=line.at).exclude(pk__gte=line.pk)
    return list(rows.order_by("-at")[:most])


def joined(sid: str) -> list[str]:
    """The `client_id` of every application that ever joined this session, in this order, deleted ones too."""
    rows = SessionEvent.objects.filter(sid=sid, type=EventType.JOINED).order_by("at")
    return list(dict.fromkeys(rows.values_list("client_id", flat=True)))


def by_hour(event: EventType, *, since: datetime) -> Iterable[tuple[datetime, int]]:
    """How many such lines there are of each hour that has some."""
    rows = SessionEvent.objects.filter(type=event, at__gt=since)
    return rows.values_list(TruncHour("at", tzinfo=UTC)).annotate(n=Count("pk"))


def of_connection(name: str, kinds: Iterable[EventType], count: int) -> list[SessionEvent]:
    """The newest lines of these kinds, newest first."""
    lines = SessionEvent.objects.filter(connection=name, type__in=[kind.value for kind in kinds])
    return list(lines.order_by("-pk")[:count])


def recent(sub: str, kinds: Iterable[EventType], *, since: datetime) -> QuerySet[SessionEvent]:
    """The lines of these kinds that name this person, newest first."""
    lines = SessionEvent.objects.filter(sub=sub, type__in=[kind.value for kind in kinds], at__gte=since)
    return lines.order_by("-at", "-pk")


def browsers_of(sids: Iterable[str], sub: str) -> dict[str, str]:
    """In which browser each of these sessions of a person began."""
    opened = SessionEvent.objects.filter(sid__in=set(sids), sub=sub, type=EventType.OPENED)
    return dict(opened.values_list("sid", "user_agent"))
