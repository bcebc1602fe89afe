"""Which lines of the audit trail somebody asks for, as one object that pages, files and links share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from idp.people.search import applications, people
from sessions_app.audit import events, search
from sessions_app.models import SessionEvent


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
        yield Q(sub=typed) | Q(sub__in=people(typed))
    if typed := asked.by:
        yield Q(actor=typed) | Q(actor__in=[f"admin:{sub}" for sub in _administrators(typed)])
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


def _administrators(typed: str) -> list[str]:
    """By user id too, which somebody who was deleted is only known by."""
    return [typed, *(sub for (sub,) in people(typed)[:200])]
