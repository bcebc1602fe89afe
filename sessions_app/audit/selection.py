"""Which lines of the audit trail somebody asks for, as one object that pages, files and links share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Concat

from idp.people.search import applications, people
from sessions_app.audit import events, search
from sessions_app.models import SessionEvent

MOST_NAMED = 1000  # people in one condition


@dataclass(frozen=True, slots=True)
class AskedLines:
    """Empty: whatever it is. `person`, `by` and `application` are names, addresses or ids, as they are typed."""

    anything: str = ""
    person: str = ""
    by: str = ""
    application: str = ""
    connection: str = ""
    group: str = ""
    type: str = ""
    initiator: str = ""
    ip: str = ""
    since: datetime | None = None
    until: datetime | None = None


def select(asked: AskedLines, *, before: int | None = None) -> QuerySet[SessionEvent]:
    """Newest first; `before` is the key of a line, and lines older than it are selected."""
    condition = Q()
    for one in _conditions(asked):
        condition &= one
    if before is not None:
        condition &= Q(pk__lt=before)
    return SessionEvent.objects.filter(condition).order_by("-pk")


def _conditions(asked: AskedLines) -> Iterator[Q]:
    if typed := asked.anything:
        yield search.matching(typed, people=people(typed), applications=applications(typed))
    if typed := asked.person:
        found = _ids(people(typed))
        yield Q(sub=typed) | Q(sub__in=people(typed)) if found is None else Q(sub__in=[typed, *found])
    if typed := asked.by:
        administrators = people(typed).values_list(Concat(Value("admin:"), "user_id"))
        yield Q(actor__in=[typed, f"admin:{typed}"]) | Q(actor__in=administrators)
    if typed := asked.application:
        yield Q(client_id=typed) | Q(client_id__in=applications(typed))
    if asked.connection:
        yield Q(connection__iexact=asked.connection)
    if asked.group:
        yield Q(type__in=events.of_group(asked.group))
    yield from (Q(**{name: value}) for name in ("type", "initiator", "ip") if (value := getattr(asked, name)))
    if asked.since:
        yield Q(at__gte=asked.since)
    if asked.until:
        yield Q(at__lt=asked.until)


def _ids(found: QuerySet[Any, tuple[str]]) -> list[str] | None:
    """Named one by one they are found by an index, while a subquery reads the whole trail. None: too many for that."""
    ids = [sub for (sub,) in found[: MOST_NAMED + 1]]
    return ids if len(ids) <= MOST_NAMED else None
