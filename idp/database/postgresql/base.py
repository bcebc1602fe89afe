"""Django's PostgreSQL backend, with plans for small tables that grow, a cheaper question whether a kept connection still lives,
a cursor to keep, an end to every wait, and no second use of a connection that leads to a server which takes no writes."""

from __future__ import annotations

import contextlib
import functools
import re
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property
from psycopg import RawCursor
from psycopg.errors import ConnectionTimeout
from psycopg.pq import TransactionStatus
from psycopg.types.datetime import TimestamptzLoader

from idp.database.limits import limits, longer
from idp.database.postgresql import driver
from idp.database.postgresql.silence import server

SILENT = 30.0  # seconds without a request after which a firewall may have dropped the connection and told nobody
# A plan that is kept was made when tables were small, perhaps empty: then PostgreSQL reads them whole, also when they have
# grown, until its autovacuum comes by. No kept statement wants a whole table where an index has the few rows in question.
# Others are planned each time that they run, by what is true then: a list of administrators may well want all of a table.
PREFER_INDEXES, AS_USUAL = "SET random_page_cost = 0.1", "RESET random_page_cost"
WAIT_LONG = (
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
)
# What a server says that is none to write to any more: read-only since a failover, or about to end.
LEAVE = frozenset({"25006", "57P01", "57P02", "57P03"})
PLACEHOLDER = re.compile(r"%(?:%|s|\((\w+)\)s)")


ASK_AGAIN = 0.3  # seconds


def _is_alone(other: Any, number: int) -> bool:
    """Try to take the lock in a transaction, which goes on if it was taken."""
    with other.cursor() as cursor:
        cursor.execute(WAIT_LONG)
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        if cursor.fetchone() == (True,):
            return True
    other.rollback()
    return False


class DatabaseWrapper(base.DatabaseWrapper):
    Database = driver
    _left_at = float("-inf")  # of all threads: connections that were made before are not used again
    _made_at = 0.0
    _asked_at = 0.0
    _planned_at = 0.0
    _kept: KeptCursor | None = None
    _prefers_indexes: bool | None = (
        False  # None: not known, because a transaction that was rolled back may have said it
    )

    def get_connection_params(self) -> dict[str, Any]:
        """What the address says wins; all of it is for libpq here, a pooler sees nothing of it."""
        return waits() | super().get_connection_params()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        made_at = time.monotonic()
        try:
            if server.is_silent:
                with server.trial():
                    connection = super().get_new_connection(conn_params)
            else:
                connection = super().get_new_connection(conn_params)
        except ConnectionTimeout:
            server.is_silent = True
            raise
        self._made_at = made_at
        return connection

    def init_connection_state(self) -> None:
        super().init_connection_state()
        self._prefers_indexes = False
        if not settings.DATABASE_SESSION_SETTINGS:
            return
        with self.connection.cursor() as cursor:
            cursor.execute(session_settings())
        if not self.get_autocommit():
            self.connection.commit()

    @cached_property
    def wrap_database_errors(self) -> _NotesWhoIsLeaving:
        return _NotesWhoIsLeaving(self)

    def leave(self) -> None:
        """The server behind this connection is none to stay with, nor for the other threads' connections."""
        type(self)._left_at = time.monotonic()

    def create_cursor(self, name: str | None = None) -> Any:
        """Django's own, for a statement that is planned when it runs."""
        self._plan(prefer_indexes=False)
        return super().create_cursor(name)

    def _plan(self, *, prefer_indexes: bool) -> None:
        """How the next statement is planned: a round trip, but only where kept statements and others take turns."""
        if self._prefers_indexes is prefer_indexes or not settings.DATABASE_SESSION_SETTINGS:
            return
        if self.connection.info.transaction_status != TransactionStatus.INERROR:  # which takes nothing but ROLLBACK
            self.connection.execute(PREFER_INDEXES if prefer_indexes else AS_USUAL)
            self._prefers_indexes = prefer_indexes

    def _rollback(self) -> None:
        self._prefers_indexes = None
        super()._rollback()  # type: ignore[misc]  # Django's own, without a type

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        self._prefers_indexes = None

    def kept_cursor(self, plans_last: float) -> CursorWrapper:
        """One cursor for all statements that idp/database/prepared.py runs on this connection, each read to its end before the next.

        Plans older than `plans_last` seconds are made anew: one that was made on a table that VACUUM knew to be empty reads it
        whole however it grows, because that costs nothing then.
        """
        self.close_if_health_check_failed()
        self.ensure_connection()
        if self._kept is None or self._kept.connection is not self.connection:
            self._kept = KeptCursor(self.connection)
            if self.timezone is UTC:  # Django's own loader is Python, and would only replace one UTC by another
                self._kept.adapters.register_loader("timestamptz", TimestamptzLoader)
            self._planned_at = time.monotonic()
        with self.wrap_database_errors:
            self._plan(prefer_indexes=True)
        cursor: CursorWrapper = self.make_cursor(self._kept)  # type: ignore[arg-type]  # it wraps the driver's
        if self.connection.prepare_threshold is not None and time.monotonic() > self._planned_at + plans_last:
            cursor.execute("DISCARD PLANS")
            self._planned_at = time.monotonic()
        return cursor

    @contextlib.contextmanager
    def alone(self, number: int, when_waiting: Callable[[], None]) -> Iterator[None]:
        """Of all processes that ask this database with this number one is inside at a time; it ends with its process.

        `when_waiting` is called if that takes time. Held by a transaction of a connection of its own, which every pooler keeps
        together, and which sees and locks no row while the work is done. Whoever waits asks again and again: a statement that
        waits for the lock has a snapshot, for whose end CREATE INDEX CONCURRENTLY of the one inside would wait for ever.
        """
        other = self.copy()
        try:
            other.set_autocommit(False)
            if not _is_alone(other, number):
                when_waiting()
                while not _is_alone(other, number):
                    time.sleep(ASK_AGAIN)
            yield
        finally:
            other.close()

    def clock(self) -> datetime | None:
        """What time the database has."""
        with self.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            now: datetime = cursor.fetchone()[0]
        return now

    @contextlib.contextmanager
    def longer_statements(self, seconds: int) -> Iterator[None]:
        """Inside a transaction: what ends very much must not be cut off half way, again and again."""
        with longer(seconds):
            if limits().statement:
                with self.wrap_database_errors:  # no cursor: it would change how the statements are planned that follow
                    self.connection.execute(f"SET LOCAL statement_timeout = '{seconds}s'")
            yield

    @contextlib.contextmanager
    def bounded_statements(self, seconds: int) -> Iterator[None]:
        """No statement of the block holds a lock for long."""
        with self.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = '{seconds}s'")
        try:
            yield
        finally:
            self.close()  # the setting goes with it, also after an error

    def is_usable(self) -> bool:
        """Asked at the first statement of every request. What a server says before it hangs up waits at the socket: while
        nothing waits there, and the connection was in use a moment ago, a round trip would tell no more.
        """
        now, before = time.monotonic(), self._asked_at
        self._asked_at = now
        if self.connection is None or self.connection.closed:  # the driver has met its end already, and has no socket
            return False
        if self._made_at <= self._left_at:
            return False
        if now - before > SILENT or _has_something_to_say(self.connection.fileno()):
            return bool(super().is_usable())
        return True


class _NotesWhoIsLeaving(DatabaseErrorWrapper):
    def __init__(self, connection: DatabaseWrapper) -> None:
        super().__init__(connection)
        self._connection = connection

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if exc_type is not None and getattr(exc_value, "sqlstate", None) in LEAVE:
            self._connection.leave()
        super().__exit__(exc_type, exc_value, traceback)


def waits() -> dict[str, Any]:
    """How long libpq waits for a machine that is gone: whatever was sent has to arrive in this time."""
    given = limits()
    longest = max(1, round(given.answer or 30))
    return {
        "connect_timeout": given.connect,
        "keepalives_idle": longest,
        "keepalives_interval": max(1, longest // 3),
        "keepalives_count": 3,
        "tcp_user_timeout": longest * 1000,  # milliseconds
    }


def session_settings() -> str:
    """One round trip. Not the start-up packet's `options`: poolers refuse those."""
    given = limits()
    seconds = {
        "lock_timeout": given.lock,
        "statement_timeout": given.statement,
        "idle_in_transaction_session_timeout": given.idle_in_transaction,
    }
    return "; ".join(f"SET {name} = {1000 * value}" for name, value in seconds.items())


class KeptCursor(RawCursor[Any]):
    """Values travel beside the text, whose placeholders become PostgreSQL's own once per process.

    psycopg does that itself, but anew each time for texts that are long or have more than 50 values.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> KeptCursor:
        text, names = _numbered(query)
        super().execute(text, _in_order(params, names), **options)
        return self


def _in_order(params: Sequence[Any] | Mapping[str, Any], names: tuple[str, ...]) -> Sequence[Any]:
    return [params[name] for name in names] if isinstance(params, Mapping) else params


@functools.lru_cache(1024)
def _numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """The text with $1, $2, ... for its %s or %(name)s, and the names in that order."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        name = match[1] or str(len(names) + 1)
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return PLACEHOLDER.sub(number, sql).encode(), tuple(names)


def _has_something_to_say(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
