"""What a guarded write of this package may depend on besides its own row (`idp/database/guarded.py`)."""

from __future__ import annotations

from allauth.mfa.models import Authenticator

from idp.database import dialect
from idp.database.guarded import Guard, table
from idp.models import Connection, User
from sessions_app.models import SSOSession


def while_session_lives(guard: Guard, session_pk: int) -> Guard:
    """The guard finds nothing once the session has ended: an offline family outlives the session, but must not be born after it.

    On PostgreSQL the locks make this write and the door wait for each other, so that the door sees what was written before it.
    The person is locked first, as everywhere.
    """
    session, user = table(SSOSession), table(User)
    lives = (
        f"SELECT 1 FROM {session} session JOIN {user} person ON person.id = session.user_id "  # noqa: S608
        f"WHERE session.id = %s AND session.ended_at IS NULL{dialect.lock('FOR KEY SHARE OF person FOR SHARE OF session')}"
    )
    return Guard(f"{guard.sql} AND EXISTS ({lives})", [*guard.params, session_pk])


def while_key_is_kept(guard: Guard, key_pk: int) -> Guard:
    """The guard finds nothing once the passkey that was proved is removed, or signs in alone no more. On PostgreSQL this write
    and either act, which ends the sessions that it finds, wait for each other: for the key, which both acts hold before the
    person. The person is locked first, as everywhere.
    """
    key, user = table(Authenticator), table(User)
    alone = dialect.either(
        postgresql="made.data->>'passkey' = 'true'", sqlite="json_extract(made.data, '$.passkey') = 1"
    )
    kept = (
        f"SELECT 1 FROM {key} made JOIN {user} person ON person.id = made.user_id "  # noqa: S608
        f"WHERE made.id = %s AND {alone}{dialect.lock('FOR KEY SHARE OF person FOR KEY SHARE OF made')}"
    )
    return Guard(f"{guard.sql} AND EXISTS ({kept})", [*guard.params, key_pk])


def while_connection_is_enabled(guard: Guard, connection_pk: int) -> Guard:
    """The guard finds nothing once the way in is closed. On PostgreSQL this write and the closing, which ends the sessions
    that it finds, wait for each other.
    """
    enabled = f"SELECT 1 FROM {table(Connection)} WHERE id = %s AND enabled{dialect.lock('FOR SHARE')}"  # noqa: S608
    return Guard(f"{guard.sql} AND EXISTS ({enabled})", [*guard.params, connection_pk])
