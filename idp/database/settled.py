"""Whether every transaction that was under way at some moment has ended, so that keys which it was given are seen or never will be.

PostgreSQL gives keys before the rows are committed, and commits in another order. SQLite has one writer: what is
committed is all there is.
"""

from __future__ import annotations

from django.db import connection

from idp.database import dialect


def mark() -> int:
    """A moment, as the transactions count it: read it after the keys that it is to be asked for."""
    return _number("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")


def has_passed(moment: int) -> bool:
    """All that began to write before it has ended."""
    return _number("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint") >= moment


def _number(postgresql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(dialect.either(postgresql=postgresql, sqlite="SELECT 0"))
        return int(cursor.fetchone()[0])
