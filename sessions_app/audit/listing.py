"""The trail for programs that read it in pages: rows by their key, and what a month of it says in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate

from idp.database.standby import reading as standby
from sessions_app.audit.events import EventType
from sessions_app.models import SessionEvent

Lines = QuerySet[SessionEvent]


def lines(condition: Q) -> Lines:
    return standby.rows(SessionEvent.objects.filter(condition))


def people_who_signed_in(since: datetime) -> int:
    return lines(Q(type=EventType.OPENED, at__gte=since)).values("sub").distinct().count()


def sign_ins_by_day(since: datetime, until: datetime) -> Iterable[tuple[date, int]]:
    rows = lines(Q(type=EventType.OPENED, at__gte=since, at__lt=until))
    return rows.values_list(TruncDate("at", tzinfo=UTC)).annotate(n=Count("pk")).order_by()
