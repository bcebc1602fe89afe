"""Who hears of an end, and by which channel: written as outbox rows by INSERT .. SELECT, whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Cast, Coalesce

from idp.models import InitiatorMode, User
from logout_app.models import Channel, DeliveryState, LogoutDelivery, LogoutEvent
from sessions_app.models import SessionClient, SessionEvent, SSOSession

DELIVERY_COLUMNS = (
    "event_id",
    "session_id",
    "application_id",
    "client_id",
    "sub",
    "sid",
    "channel",
    "state",
    "created_at",
    "due_at",
    "fence",
    "attempts",
    "last_reason",
)
EVENT_COLUMNS = (
    "at",
    "type",
    "sid",
    "sub",
    "client_id",
    "connection",
    "initiator",
    "actor",
    "user_agent",
    "data",
)


def plan(event: LogoutEvent, session_pks: Sequence[int], *, at: datetime, page: bool) -> int:
    """One row per (session, application, channel) that must hear; returns how many.

    `page`: front-channel rows too.
    """
    selects = [_channel(event, session_pks, at, Channel.BACKCHANNEL, _hears(event.initiator))]
    if page:
        selects.append(
            _channel(event, session_pks, at, Channel.FRONTCHANNEL, ~Q(application__frontchannel_logout_uri=""))
        )
    first, *rest = selects
    return insert_from(LogoutDelivery, DELIVERY_COLUMNS, first.union(*rest, all=True) if rest else first)


def record_ends(event: LogoutEvent, session_pks: Sequence[int]) -> None:
    """One line of the audit trail for each session that ended."""
    values = {
        "event_at": Value(event.at, models.DateTimeField()),
        "event_type": Value("ended", models.CharField()),
        "event_sub": F("user__user_id"),
        "event_client_id": Coalesce(F("last_application__client_id"), Value("")),
        "event_connection": Coalesce(F("connection__name"), Value("")),
        "event_initiator": Value(event.initiator, models.CharField()),
        "event_actor": Value(event.actor, models.CharField()),
        "event_user_agent": Value("", models.CharField()),
        "event_data": Value({"event": event.pk}, models.JSONField()),
    }
    rows = SSOSession.objects.filter(pk__in=session_pks).order_by().annotate(**values)
    columns = [f"event_{column}" if column != "sid" else "sid" for column in EVENT_COLUMNS]
    insert_from(SessionEvent, EVENT_COLUMNS, rows.values_list(*columns))


def sub_of(user_pk: int) -> str:
    return User.objects.values_list("user_id", flat=True).get(pk=user_pk)


def insert_from(model: type[models.Model], columns: Sequence[str], select: QuerySet[Any, Any]) -> int:
    """INSERT INTO model (columns) SELECT ...; returns the number of rows. Other columns must be nullable."""
    try:
        statement, params = select.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:  # nothing can match, e.g. no session ended
        return 0
    quote = connection.ops.quote_name
    names = ", ".join(quote(column) for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {quote(model._meta.db_table)} ({names}) {statement}", params)
        return int(cursor.rowcount)


def _hears(initiator: str) -> Q:
    """`Application.hears_of()` in SQL. The JSON list is compared as text: SQLite has no containment operator."""
    listed = Q(initiators_text__contains=f'"{initiator}"')
    wants = Q(application__backchannel_logout_initiators_mode=InitiatorMode.ALL) | listed
    return ~Q(application__backchannel_logout_uri="") & wants


def _channel(
    event: LogoutEvent, session_pks: Sequence[int], at: datetime, channel: Channel, condition: Q
) -> QuerySet[Any, Any]:
    """Every application that joined one of the sessions and meets the condition."""
    rows = (
        SessionClient.objects.filter(session__in=session_pks)
        .alias(initiators_text=Cast("application__backchannel_logout_initiators", models.TextField()))
        .filter(condition)
    )
    return _columns(
        rows,
        event,
        at,
        channel,
        session=F("session_id"),
        application=F("application_id"),
        client=F("application__client_id"),
        sub=F("session__user__user_id"),
        sid=F("session__sid"),
    )


def _columns(
    rows: QuerySet[Any, Any],
    event: LogoutEvent,
    at: datetime,
    channel: Channel,
    **facts: models.expressions.BaseExpression | F,
) -> QuerySet[Any, Any]:
    """The SELECT list of DELIVERY_COLUMNS, in its order."""
    moment = Value(at, models.DateTimeField())
    values: dict[str, Any] = {
        "d_event": Value(event.pk, models.BigIntegerField()),
        "d_session": facts["session"],
        "d_application": facts["application"],
        "d_client": facts["client"],
        "d_sub": facts["sub"],
        "d_sid": facts["sid"],
        "d_channel": Value(channel.value, models.CharField()),
        "d_state": Value(DeliveryState.PENDING.value, models.CharField()),
        "d_created": moment,
        "d_due": moment,
        "d_fence": Value(0, models.IntegerField()),
        "d_attempts": Value(0, models.IntegerField()),
        "d_reason": Value("", models.CharField()),
    }
    selected: QuerySet[Any, Any] = rows.order_by().annotate(**values).values_list(*values)
    return selected
