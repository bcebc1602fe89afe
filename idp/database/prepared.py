"""SQL of the hot paths, which PostgreSQL parses and plans once per connection instead of once per execution.

Planning a join of five tables takes PostgreSQL eight times as long as running it. Django's own cursor writes the values into
the text, so that no two texts are alike; this one sends them beside it. Values of an INSERT ... SELECT need a cast there.
`prepare_threshold` in the options of DATABASE_URL switches it off (None), for a pooler that knows no prepared statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connections

PLANS_LAST = 30.0  # seconds


def fetch(
    sql: str, params: Sequence[Any] | Mapping[str, Any] = (), *, plans_last: float = PLANS_LAST
) -> list[tuple[Any, ...]]:
    """The rows that this statement gives (a write: by RETURNING).

    `plans_last`: seconds after which PostgreSQL plans anew what it keeps, for a table whose size changes at once.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        return _fetch(connection, sql, params, plans_last)
    except NotSupportedError:
        if connection.in_atomic_block:
            raise
        # A migration changed a column's type since: plans from before are refused, and nothing was done.
        connection.close()
        return _fetch(connection, sql, params, plans_last)


def _fetch(
    connection: Any, sql: str, params: Sequence[Any] | Mapping[str, Any], plans_last: float
) -> list[tuple[Any, ...]]:
    if connection.vendor != "postgresql" or connection.queries_logged:  # only Django's own cursor can be logged
        with connection.cursor() as cursor:
            return _rows(cursor, sql, params)
    return _rows(connection.kept_cursor(plans_last), sql, params)


def _rows(cursor: Any, sql: str, params: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    cursor.execute(sql, params)
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
