"""A guard and what depends on it, written as one act: all of it, or nothing if the guard found nothing.

The rows are model instances that were never saved; what Django fills in at `save()` must be set.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Field, Model

from idp.database import dialect, prepared
from idp.database.acts import Act, ActStep


@dataclass(frozen=True, slots=True)
class Guard:
    """A conditional UPDATE or DELETE of one row: SQL up to and without RETURNING."""

    sql: str
    params: list[Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A further conditional UPDATE of one row. Rows are locked in the order of the parts.

    `after`: it depends on this row as well, as a `Row` may.
    """

    name: str
    guard: Guard
    after: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row to insert. `links` gives columns by the name of a row before it, whose new id they hold.

    `once`: these columns are unique, and when they are taken the row is left out. `after`: so is a row that comes after one
    that was left out, or after a change that found nothing.
    """

    name: str
    instance: Model
    links: Mapping[str, str] = field(default_factory=dict)
    once: tuple[str, ...] = ()
    after: str = ""


def update_guard(model: type[Model], pk: int, *, where: Mapping[str, Any], **changes: Any) -> Guard:
    """UPDATE of one row if its columns still are what `where` says (None: null)."""
    sets, params = [], []
    for name, value in changes.items():
        column, adapted = _adapt(model, name, value)
        sets.append(f"{column} = %s")
        params.append(adapted)
    condition, condition_params = _where(model, pk, where)
    return Guard(f"UPDATE {table(model)} SET {', '.join(sets)} WHERE {condition}", params + condition_params)  # noqa: S608


def delete_guard(model: type[Model], pk: int, *, where: Mapping[str, Any]) -> Guard:
    condition, params = _where(model, pk, where)
    return Guard(f"DELETE FROM {table(model)} WHERE {condition}", params)  # noqa: S608


def write(guard: Guard, parts: Sequence[Change | Row]) -> dict[str, int]:
    """The ids of what was written, by name, and of the "guard"; rows get theirs. Empty: the guard did not find its row."""
    act = _act(guard.sql, tuple([_shape(part) for part in parts]))
    found = act.run([guard.params, *[_values(part) for part in parts]])
    ids = {name: row[0] for name, row in found.items() if row is not None}
    for part in parts:
        if isinstance(part, Row) and part.name in ids:
            _is_stored(part.instance, ids[part.name])
    return ids


def insert(instance: Model) -> None:
    """One row that depends on nothing. It gets its id."""
    columns = _insert(type(instance), ())
    placeholders = ", ".join(["%s"] * len(columns.names))
    into = f"{table(type(instance))} ({', '.join(columns.names)})"
    rows = prepared.fetch(f"INSERT INTO {into} VALUES ({placeholders}) RETURNING id", columns.values(instance))  # noqa: S608
    _is_stored(instance, rows[0][0])


def _is_stored(instance: Model, pk: int) -> None:
    instance.pk = pk
    instance._state.adding, instance._state.db = False, DEFAULT_DB_ALIAS


def _shape(part: Change | Row) -> tuple[Any, ...]:
    """What its SQL depends on."""
    if isinstance(part, Change):
        return part.name, part.guard.sql, part.after
    return part.name, type(part.instance), tuple(part.links.items()), part.once, part.after


def _values(part: Change | Row) -> list[Any]:
    if isinstance(part, Change):
        return part.guard.params
    return _insert(type(part.instance), tuple(part.links)).values(part.instance)


@functools.lru_cache(256)
def _act(guard: str, shapes: tuple[tuple[Any, ...], ...]) -> Act:
    steps = [ActStep("guard", f"{guard} RETURNING id")]
    for name, *shape in shapes:
        steps.append(_change(name, *shape) if isinstance(shape[0], str) else _row(name, *shape))
    return Act(*steps)


def _change(name: str, sql: str, after: str) -> ActStep:
    return ActStep(name, f"{sql} AND {{then}} RETURNING id", needs=(after or "guard",))


def _row(
    name: str, model: type[Model], links: tuple[tuple[str, str], ...], once: tuple[str, ...], after: str
) -> ActStep:
    columns = _insert(model, tuple(column for column, _ in links))
    values = [f"{{{row}}}" for _, row in links] + [f"%s{cast}" for cast in columns.casts]
    sql = (
        f"INSERT INTO {table(model)} ({', '.join(columns.names)}) "
        f"SELECT {', '.join(values)} WHERE {{then}}{_unless_taken(once)} RETURNING id"
    )
    needs = [part for part in (*(row for _, row in links), after) if part]
    return ActStep(name, sql, needs=tuple(dict.fromkeys(needs)) or ("guard",))


def _unless_taken(once: tuple[str, ...]) -> str:
    columns = ", ".join(connection.ops.quote_name(column) for column in once)
    return f" ON CONFLICT ({columns}) DO NOTHING" if columns else ""


class _Adapter(NamedTuple):
    """How a value becomes one of its column, if it is not of the types that are `ready` for it."""

    ready: tuple[type, ...]
    adapt: Callable[[Any, Any], Any]


@functools.lru_cache(1024)
def _adapter(column: Field[Any, Any]) -> _Adapter:
    return _Adapter(dialect.taken_as_it_is(column), column.get_db_prep_save)


@dataclass(frozen=True, slots=True)
class _Insert:
    """The columns of an INSERT, linked ones first, and where the values of the others come from."""

    names: list[str]
    casts: list[str]
    sources: list[tuple[str, _Adapter]]

    def values(self, instance: Model) -> list[Any]:
        database = connections[DEFAULT_DB_ALIAS]  # `connection` would look for it at each use, several for a column
        given = vars(instance)
        return [
            value if type(value := given[name]) in adapter.ready else adapter.adapt(value, database)
            for name, adapter in self.sources
        ]


@functools.lru_cache(256)
def _insert(model: type[Model], linked: tuple[str, ...]) -> _Insert:
    given = [
        column for column in model._meta.concrete_fields if not column.primary_key and column.attname not in linked
    ]
    columns = [_column(model, name) for name in linked] + [_column(model, column.name) for column in given]
    return _Insert(
        columns, [_cast(column) for column in given], [(column.attname, _adapter(column)) for column in given]
    )


def _cast(column: Field[Any, Any]) -> str:
    return dialect.cast(column.db_type(connection) or "")


def _where(model: type[Model], pk: int, where: Mapping[str, Any]) -> tuple[str, list[Any]]:
    conditions, params = ["id = %s"], [pk]
    for name, value in where.items():
        column, adapted = _adapt(model, name, value)
        conditions.append(f"{column} IS NULL" if value is None else f"{column} = %s")
        params += [] if value is None else [adapted]
    return " AND ".join(conditions), params


def _adapt(model: type[Model], name: str, value: Any) -> tuple[str, Any]:
    column, adapter = _change_of(model, name)
    return column, value if type(value) in adapter.ready else adapter.adapt(value, connections[DEFAULT_DB_ALIAS])


@functools.cache
def _change_of(model: type[Model], name: str) -> tuple[str, _Adapter]:
    return _column(model, name), _adapter(model._meta.get_field(name))


def _column(model: type[Model], name: str) -> str:
    return connection.ops.quote_name(str(model._meta.get_field(name).column))  # type: ignore[union-attr]


@functools.cache
def table(model: type[Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)
