"""The words that PostgreSQL and SQLite do not share. Here, and in `idp/database` only, it is asked which of them it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from types import NoneType
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, models

T = TypeVar("T")
TEXT = ("varchar", "text")  # PostgreSQL takes a value of unknown type for a text; every other needs a cast
# What columns of Django's own classes take as it is.
AS_IT_IS: dict[type[models.Field[Any, Any]], type] = {
    models.BigAutoField: int,
    models.BooleanField: bool,
    models.CharField: str,
    models.EmailField: str,
    models.TextField: str,
    models.URLField: str,
}
AS_IT_IS_IN_POSTGRESQL: dict[type[models.Field[Any, Any]], type] = {
    models.DateTimeField: datetime,
    models.UUIDField: UUID,
}


def either(*, postgresql: T, sqlite: T) -> T:
    """For a statement that the two take in shapes of their own."""
    return postgresql if connection.vendor == "postgresql" else sqlite


def lock(clause: str) -> str:
    """`FOR NO KEY UPDATE` and so on, after a SELECT. SQLite's one writer needs none."""
    return either(postgresql=f" {clause}", sqlite="")


def unchanged(table: str, where: str) -> str:
    """A further condition on a row: it still is the version that this statement saw when it began."""
    return either(postgresql=f" AND xmin = (SELECT xmin FROM {table} WHERE {where})", sqlite="")  # noqa: S608  names of ours


def keys(values: Sequence[int] | Sequence[str]) -> list[Any] | str:
    """The parameter for `among()`."""
    return list(values) if connection.vendor == "postgresql" else json.dumps(list(values))


def among(name: str) -> str:
    """A comparison of a column with a list of keys of any length, which is the parameter `name`."""
    return among_these().replace("%s", f"%({name})s")


def among_these() -> str:
    """The same for a parameter without a name. A list of each key by itself takes Django and PostgreSQL longer than finding the rows."""
    return either(postgresql="= ANY(%s)", sqlite="IN (SELECT value FROM json_each(%s))")


def table_of(columns: Sequence[tuple[str, str]]) -> str:
    """A parameter that holds a JSON list of objects, as the table `v` with these columns (name, PostgreSQL's type)."""
    typed = ", ".join(f"{name} {kind}" for name, kind in columns)
    read = ", ".join(f"value->>'{name}' AS {name}" for name, _ in columns)
    return either(
        postgresql=f"json_to_recordset(%s::json) AS v({typed})",
        sqlite=f"(SELECT {read} FROM json_each(%s)) AS v",  # noqa: S608  names of ours
    )


def cast(kind: str) -> str:
    """After a value of an INSERT ... SELECT, where PostgreSQL does not look which column it is for."""
    return "" if connection.vendor != "postgresql" or kind.startswith(TEXT) else f"::{kind}"


def taken_as_it_is(column: models.Field[Any, Any]) -> tuple[type, ...]:
    """Types of values that the column's `get_db_prep_save` gives back as they came, after five calls."""
    if isinstance(column, models.ForeignKey):
        return taken_as_it_is(column.target_field)
    types = either(postgresql=AS_IT_IS | AS_IT_IS_IN_POSTGRESQL, sqlite=AS_IT_IS)
    return (types[type(column)], NoneType) if type(column) in types else ()


def words() -> dict[str, str]:
    """For `str.format` of a text that both take: {object}(...), {json}(...), {timestamptz} after a value."""
    return {
        "object": either(postgresql="jsonb_build_object", sqlite="json_object"),
        "json": either(postgresql="jsonb", sqlite="json"),
        "timestamptz": cast("timestamptz"),
    }
