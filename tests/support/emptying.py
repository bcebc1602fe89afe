"""Takes away what a test committed: DELETE from the tables that have rows, where Django's flush truncates every table and
makes all permissions anew, which takes 60 ms on SQLite and 160 ms on PostgreSQL.

What the migrations left (kinds of content, permissions, the console's roles) stays, unless a test changed any of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.management.commands import flush
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from sessions_app.audit import permit

Rows = dict[str, list[tuple[Any, ...]]]
_left_by_migrations: dict[str, Rows] = {}  # by the database's alias, tables with rows only


def remember(alias: str = "default") -> None:
    """What is in the database now is what every test begins with."""
    connection = connections[alias]
    _left_by_migrations[alias] = _rows(connection, _with_rows(connection, _tables(connection)))


def quickly(thorough: Callable[..., None]) -> Callable[..., None]:
    """`flush.Command.handle` for the end of a test; `thorough` is Django's."""

    def handle(self: flush.Command, **options: Any) -> None:
        alias = options["database"]
        left = _left_by_migrations.get(alias)
        if left is None or options.get("reset_sequences") or not _empty(connections[alias], left):
            with permit.purging():  # DELETE on SQLite, which the trail refuses
                thorough(self, **options)
            remember(alias)

    return handle


def _empty(connection: BaseDatabaseWrapper, left: Rows) -> bool:
    """Whether the database is as the migrations left it; False: nothing was done."""
    tables = _tables(connection)
    if _rows(connection, left) != left:
        return False
    found = [table for table in _with_rows(connection, tables) if table not in left]
    with transaction.atomic(connection.alias), permit.purging(), connection.cursor() as cursor:
        for table in found:  # in any order: references are looked at when the transaction ends
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
    return True


def _tables(connection: BaseDatabaseWrapper) -> list[str]:
    return sorted(connection.introspection.django_table_names(only_existing=True, include_views=False))


def _with_rows(connection: BaseDatabaseWrapper, tables: Iterable[str]) -> list[str]:
    ask = "SELECT '{}' WHERE EXISTS (SELECT 1 FROM {})"
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(ask.format(table, connection.ops.quote_name(table)) for table in tables))
        return [table for (table,) in cursor.fetchall()]


def _rows(connection: BaseDatabaseWrapper, tables: Iterable[str]) -> Rows:
    found: Rows = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} ORDER BY 1")
            found[table] = cursor.fetchall()
    return found
