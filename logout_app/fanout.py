"""Who hears of an end, and by which channel: the event, its outbox rows and its lines of the audit trail.

Set-based: as many statements for one session as for thousands. On PostgreSQL they are one statement (a CTE), which spares a
sign-out two round trips; on SQLite one each. The text is written here once, because Django takes longer to write such a
SELECT anew than the database takes to run it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connection

from idp import prepared
from idp.models import Application, Connection, InitiatorMode, User
from logout_app.models import Channel, DeliveryState, LogoutDelivery, LogoutEvent
from sessions_app.models import RefreshTokenFamily, SessionClient, SessionEvent, SSOSession

EVENT = f"""
INSERT INTO {LogoutEvent._meta.db_table} (at, initiator, actor, user_id, sub, sessions_ended, families_revoked, data)
VALUES (%(at)s, %(initiator)s, %(actor)s, %(user)s, %(sub)s, %(sessions)s, %(families)s, '{{}}')
RETURNING id"""  # noqa: S608  constants only, here and below

# An application that joined a session and hears of this initiator as `Application.hears_of()` says. The JSON list is
# compared as text: SQLite has no containment operator.
DELIVERIES = f"""
INSERT INTO {LogoutDelivery._meta.db_table} (
    event_id, session_id, application_id, client_id, sub, sid, channel, state,
    created_at, due_at, fence, attempts, last_reason
)
SELECT {{event}}, session.id, application.id, application.client_id, person.user_id, session.sid, channels.name,
    '{DeliveryState.PENDING}', %(at)s, %(at)s, 0, 0, ''
FROM {SessionClient._meta.db_table} joined
JOIN {SSOSession._meta.db_table} session ON session.id = joined.session_id
JOIN {User._meta.db_table} person ON person.id = session.user_id
JOIN {Application._meta.db_table} application ON application.id = joined.application_id
JOIN (SELECT '{Channel.BACKCHANNEL}' AS name UNION ALL SELECT '{Channel.FRONTCHANNEL}') channels ON
    (channels.name = '{Channel.BACKCHANNEL}' AND application.backchannel_logout_uri <> '' AND (
        application.backchannel_logout_initiators_mode = '{InitiatorMode.ALL}'
        OR CAST(application.backchannel_logout_initiators AS text) LIKE %(listed)s
    ))
    OR (
        channels.name = '{Channel.FRONTCHANNEL}' AND joined.session_id = CAST(%(page)s AS bigint)
        AND application.frontchannel_logout_uri <> ''
    )
WHERE joined.session_id {{among}}
{{more}}
RETURNING channel"""  # noqa: S608

# When everything of a person ends: each application that has a Global Token Revocation endpoint and was ever used by the
# person, once, however many sessions there were.
REVOCATIONS = f"""
UNION ALL
SELECT {{event}}, CAST(NULL AS bigint), application.id, application.client_id, %(sub)s, '', '{Channel.GTR}',
    '{DeliveryState.PENDING}', %(at)s, %(at)s, 0, 0, ''
FROM {Application._meta.db_table} application
WHERE application.global_token_revocation_uri <> '' AND (
    EXISTS (
        SELECT 1 FROM {SSOSession._meta.db_table} session
        JOIN {SessionClient._meta.db_table} joined ON joined.session_id = session.id
        WHERE session.user_id = %(user)s AND joined.application_id = application.id
    ) OR EXISTS (
        SELECT 1 FROM {RefreshTokenFamily._meta.db_table} family
        WHERE family.user_id = %(user)s AND family.application_id = application.id
    )
)"""  # noqa: S608

TRAIL = f"""
INSERT INTO {SessionEvent._meta.db_table} (
    at, type, sid, sub, client_id, connection, initiator, actor, user_agent, data
)
SELECT %(at)s, 'ended', session.sid, person.user_id, coalesce(application.client_id, ''), coalesce(connection.name, ''),
    %(initiator)s, %(actor)s, '', {{object}}('event', {{event}})
FROM {SSOSession._meta.db_table} session
JOIN {User._meta.db_table} person ON person.id = session.user_id
LEFT JOIN {Application._meta.db_table} application ON application.id = session.last_application_id
LEFT JOIN {Connection._meta.db_table} connection ON connection.id = session.connection_id
WHERE session.id {{among}}"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Told:
    """How many deliveries were planned, and how many of them are frames of the sign-out page."""

    deliveries: int
    frames: int


NOBODY = Told(0, 0)


def record(event: LogoutEvent, session_pks: Sequence[int], *, page: int | None, whole_user: bool = False) -> Told:
    """Write the event (it gets its key), one row per (session, application, channel) that must hear, and the audit trail.

    `page`: this session's front-channel rows too. `whole_user`: revocation requests too; the event names the person.
    """
    given: dict[str, Any] = {
        "at": connection.ops.adapt_datetimefield_value(event.at),
        "initiator": event.initiator,
        "actor": event.actor,
        "user": event.user_id,
        "sub": event.sub,
        "sessions": event.sessions_ended,
        "families": event.families_revoked,
        "listed": f'%"{event.initiator}"%',
        "page": page,
        "pks": keys(session_pks),
    }
    if connection.vendor == "postgresql":
        event.pk, deliveries, frames = prepared.fetch(_in_one_statement(whole_user), given)[0]
    else:
        event.pk, deliveries, frames = _one_by_one(given, whole_user)
    event._state.adding = False
    return Told(deliveries, frames)


def sub_of(user_pk: int) -> str:
    return User.objects.values_list("user_id", flat=True).get(pk=user_pk)


def keys(pks: Sequence[int]) -> list[int] | str:
    """The parameter for `among()`."""
    return list(pks) if connection.vendor == "postgresql" else json.dumps(list(pks))


def among(name: str) -> str:
    """A comparison of a column with a list of keys of any length."""
    if connection.vendor == "postgresql":
        return f"= ANY(%({name})s)"
    return f"IN (SELECT value FROM json_each(%({name})s))"  # noqa: S608  names of ours


@cache
def _in_one_statement(whole_user: bool) -> str:
    event, these = "(SELECT id FROM event)", among("pks")
    deliveries = _deliveries(event, these, whole_user)
    trail = TRAIL.format(event=event, among=these, object="jsonb_build_object")
    return f"""
WITH event AS ({EVENT}), told AS ({deliveries}), trail AS ({trail})
SELECT id, (SELECT count(*) FROM told), (SELECT count(*) FROM told WHERE channel = '{Channel.FRONTCHANNEL}') FROM event
"""  # noqa: S608


def _deliveries(event: str, these: str, whole_user: bool) -> str:
    return DELIVERIES.format(event=event, among=these, more=REVOCATIONS.format(event=event) if whole_user else "")


def _one_by_one(given: dict[str, Any], whole_user: bool) -> tuple[int, int, int]:
    event, these = "%(event)s", among("pks")
    with connection.cursor() as cursor:
        cursor.execute(EVENT, given)
        given["event"] = cursor.fetchone()[0]
        cursor.execute(_deliveries(event, these, whole_user), given)
        channels = [row[0] for row in cursor.fetchall()]
        cursor.execute(TRAIL.format(event=event, among=these, object="json_object"), given)
    return given["event"], len(channels), channels.count(Channel.FRONTCHANNEL)
