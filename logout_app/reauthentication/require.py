"""Sessions become stale: the next /authorize asks for a sign-in, silent requests get login_required, and refresh waits for it.

A sign-in is what makes a session fresh again: it moves `auth_time` past `stale_at`. Offline tokens stay as they are.
Applications that asked for it are told (`told.py`).
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from idp.database import dialect, prepared
from idp.models import Connection, User
from logout_app.ending.end import LONGEST_ACT, Selection
from logout_app.reauthentication import told
from sessions_app.audit import sql as audit
from sessions_app.audit.events import EventType, Fact
from sessions_app.models import SSOSession

TABLE = SSOSession._meta.db_table
TRAIL = audit.insert(
    EventType.REAUTHENTICATION_REQUIRED,
    {
        Fact.SESSION: "session.sid",
        Fact.SUB: "person.user_id",
        Fact.CONNECTION: "coalesce(connection.name, '')",
        Fact.ACTOR: "%(actor)s",
    },
    data={},
    source=f"""
FROM {TABLE} session
JOIN {User._meta.db_table} person ON person.id = session.user_id
LEFT JOIN {Connection._meta.db_table} connection ON connection.id = session.connection_id
WHERE session.id {{among}}""",
)


def require_reauthentication(
    selection: Selection, *, actor: str, at: datetime, until: datetime | None = None
) -> list[int]:
    """The sessions that became stale by this. What was proved after `until` (now, by default) stays fresh."""
    given = {
        **selection.given,
        "at": connection.ops.adapt_datetimefield_value(at),
        "until": connection.ops.adapt_datetimefield_value(until or at),
        "actor": actor,
    }
    with transaction.atomic(), connection.longer_statements(LONGEST_ACT):  # type: ignore[attr-defined]  # of idp/database
        pks = [pk for (pk,) in prepared.fetch(_statement(selection.where), given)]
        if pks:
            words = dialect.words() | {"among": dialect.among("pks")}
            with connection.cursor() as cursor:
                cursor.execute(TRAIL.format(**words), {**given, "pks": dialect.keys(pks)})
            told.plan(pks, actor=actor, at=at)
    return pks


def _statement(where: str) -> str:
    """Locked in one order for everybody, as at the door."""
    chosen = (
        f"SELECT id FROM {TABLE} WHERE {where} AND ended_at IS NULL AND auth_time <= %(until)s "  # noqa: S608  constants
        f"AND (stale_at IS NULL OR stale_at < %(until)s) ORDER BY id{dialect.lock('FOR NO KEY UPDATE')}"
    )
    return (
        f"WITH chosen (id) AS MATERIALIZED ({chosen}) "  # noqa: S608
        f"UPDATE {TABLE} SET stale_at = %(until)s WHERE id IN (SELECT id FROM chosen) RETURNING id"
    )
