"""Applications that asked for it hear that a session of theirs must be proved again: rows of the outbox, written with the act."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction

from idp.database import dialect, prepared
from logout_app.delivery import bell
from logout_app.delivery.channels.planning import INTO
from logout_app.delivery.channels.reauthentication import ASKED_FOR_IT, SESSIONS
from logout_app.models import LogoutEvent

WHY = "reauthentication-required"  # in the place of an initiator; nothing ended, so no application chooses it by that name
# Not written if nobody asked for it. It names the person if all sessions are one person's.
EVENT = f"""
INSERT INTO {LogoutEvent._meta.db_table} (at, initiator, actor, user_id, sub, sessions_ended, families_revoked, data)
SELECT %(at)s{{timestamptz}}, %(why)s, %(actor)s,
    CASE WHEN min(person.id) = max(person.id) THEN min(person.id) END,
    CASE WHEN min(person.id) = max(person.id) THEN min(person.user_id) ELSE '' END, 0, 0, {{object}}()
{ASKED_FOR_IT} HAVING count(*) > 0
RETURNING id"""
ROWS = f"""
{INTO}
{SESSIONS}
RETURNING id"""


def plan(session_pks: Sequence[int], *, actor: str, at: datetime) -> int:
    """How many applications will be told, each once for each session. In the transaction of the act."""
    words = dialect.words() | {"among": dialect.among("pks"), "event": "%(event)s"}
    given = {
        "pks": dialect.keys(session_pks),
        "at": connection.ops.adapt_datetimefield_value(at),
        "why": WHY,
        "actor": actor,
    }
    events = prepared.fetch(EVENT.format(**words), given)
    if not events:
        return 0
    rows = prepared.fetch(ROWS.format(**words), {**given, "event": events[0][0]})
    transaction.on_commit(bell.ring)
    return len(rows)
