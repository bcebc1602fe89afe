"""A guard and what depends on it, written as one act: all of it, or nothing if the guard found nothing.

On PostgreSQL it is one statement (a CTE), which needs no BEGIN and COMMIT around it; on SQLite a transaction of one
statement each. The rows are model instances that were never saved; what Django fills in at `save()` must be set.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import Field, Model

from idp.database import prepared
from idp.models import Connection, User
from sessions_app.models import SSOSession

TEXT = ("varchar", "text")  # PostgreSQL takes a value of unknown type for a text; every other needs a cast


@dataclass(frozen=True, slots=True)
class Guard:
    """A conditional UPDATE or DELETE of one row: SQL up to and without RETURNING."""

    sql: str
    params: list[Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A further conditional UPDATE of one row. It comes after the guard, so that rows are locked in this order.

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
    return Guard(f"UPDATE {_table(model)} SET {', '.join(sets)} WHERE {condition}", params + condition_params)  # noqa: S608


def delete_guard(model: type[Model], pk: int, *, where: Mapping[str, Any]) -> Guard:
    condition, params = _where(model, pk, where)
    return Guard(f"DELETE FROM {_table(model)} WHERE {condition}", params)  # noqa: S608


def while_session_lives(guard: Guard, session_pk: int) -> Guard:
    """The guard finds nothing once the session has ended: an offline family outlives the session, but must not be born after it.

    On PostgreSQL the locks make this write and the door wait for each other, so that the door sees what was written before it.
    The person is locked first, as everywhere.
    """
    session, user = _table(SSOSession), _table(User)
    lock = " FOR KEY SHARE OF person FOR SHARE OF session" if connection.vendor == "postgresql" else ""
    lives = (
        f"SELECT 1 FROM {session} session JOIN {user} person ON person.id = session.user_id "  # noqa: S608
        f"WHERE session.id = %s AND session.ended_at IS NULL{lock}"
    )
    return Guard(f"{guard.sql} AND EXISTS ({lives})", [*guard.params, session_pk])


def while_connection_is_enabled(guard: Guard, connection_pk: int) -> Guard:
    """The guard finds nothing once the way in is closed. On PostgreSQL this write and the closing, which ends the sessions
    that it finds, wait for each other.
    """
    lock = " FOR SHARE" if connection.vendor == "postgresql" else ""
    enabled = f"SELECT 1 FROM {_table(Connection)} WHERE id = %s AND enabled{lock}"  # noqa: S608
    return Guard(f"{guard.sql} AND EXISTS ({enabled})", [*guard.params, connection_pk])


def write(guard: Guard, parts: Sequence[Change | Row]) -> dict[str, int]:
    """The ids of what was written, by name, and of the "guard"; rows get theirs. Empty: the guard did not find its row."""
    ids = _in_one_statement(guard, parts) if connection.vendor == "postgresql" else _one_by_one(guard, parts)
    for part in parts:
        if isinstance(part, Row) and part.name in ids:
            _is_stored(part.instance, ids[part.name])
    return ids


def insert(instance: Model) -> None:
    """One row that depends on nothing. It gets its id."""
    row = Row("row", instance)
    columns = _insert(type(instance), ())
    _is_stored(instance, _run("row", _insert_sql(row, columns), columns.values(instance))["row"])


def _is_stored(instance: Model, pk: int) -> None:
    instance.pk = pk
    instance._state.adding, instance._state.db = False, connection.alias


def _in_one_statement(guard: Guard, parts: Sequence[Change | Row]) -> dict[str, int]:
    params = list(guard.params)
    shapes: list[tuple[Any, ...]] = []
    for part in parts:
        if isinstance(part, Change):
            shapes.append((part.name, part.guard.sql, part.after))
            params += part.guard.params
        else:
            model, links = type(part.instance), tuple(part.links.items())
            shapes.append((part.name, model, links, part.once, part.after))
            params += _insert(model, tuple(part.links)).values(part.instance)
    row = prepared.fetch(_cte(guard.sql, tuple(shapes)), params)[0]
    names = ("guard", *(part.name for part in parts))
    return {name: pk for name, pk in zip(names, row, strict=True) if pk is not None}


@functools.lru_cache(256)
def _cte(guard: str, shapes: tuple[tuple[Any, ...], ...]) -> str:
    statements = {"guard": f"guard AS ({guard} RETURNING id)"}
    for name, *shape in shapes:
        sql = _changed_after_guard(*shape) if isinstance(shape[0], str) else _inserted_after_guard(*shape)
        statements[name] = f"{name}_ AS ({sql} RETURNING id)"
    ids = ", ".join(f"(SELECT id FROM {name if name == 'guard' else f'{name}_'})" for name in statements)  # noqa: S608
    return f"WITH {', '.join(statements.values())} SELECT {ids}"


def _changed_after_guard(sql: str, after: str) -> str:
    return f"{sql} AND EXISTS (SELECT 1 FROM {f'{after}_' if after else 'guard'})"  # noqa: S608


def _inserted_after_guard(
    model: type[Model], links: tuple[tuple[str, str], ...], once: tuple[str, ...], after: str
) -> str:
    insert = _insert(model, tuple(column for column, _ in links))
    values = [f"{name}_.id" for _, name in links] + [f"%s{cast}" for cast in insert.casts]
    sources = ["guard", *dict.fromkeys(f"{name}_" for name in (*(name for _, name in links), after) if name)]
    return (
        f"INSERT INTO {_table(model)} ({', '.join(insert.columns)}) "  # noqa: S608
        f"SELECT {', '.join(values)} FROM {', '.join(sources)}{_unless_taken(once)}"
    )


def _one_by_one(guard: Guard, parts: Sequence[Change | Row]) -> dict[str, int]:
    with transaction.atomic():
        ids = _run("guard", f"{guard.sql} RETURNING id", guard.params)
        for part in parts if ids else ():
            if part.after and part.after not in ids:
                continue
            if isinstance(part, Change):
                ids |= _run(part.name, f"{part.guard.sql} RETURNING id", part.guard.params)
            else:
                insert = _insert(type(part.instance), tuple(part.links))
                values = [ids[name] for name in part.links.values()] + insert.values(part.instance)
                ids |= _run(part.name, _insert_sql(part, insert), values)
    return ids


def _insert_sql(row: Row, insert: _Insert) -> str:
    placeholders = ", ".join(["%s"] * len(insert.columns))
    into = f"{_table(type(row.instance))} ({', '.join(insert.columns)})"
    return f"INSERT INTO {into} VALUES ({placeholders}){_unless_taken(row.once)} RETURNING id"  # noqa: S608


def _run(name: str, sql: str, params: Sequence[Any]) -> dict[str, int]:
    rows = prepared.fetch(sql, params)
    return {name: rows[0][0]} if rows else {}


def _unless_taken(once: tuple[str, ...]) -> str:
    columns = ", ".join(connection.ops.quote_name(column) for column in once)
    return f" ON CONFLICT ({columns}) DO NOTHING" if columns else ""


@dataclass(frozen=True, slots=True)
class _Insert:
    """The columns of an INSERT, linked ones first, and where the values of the others come from."""

    columns: list[str]
    casts: list[str]
    sources: list[tuple[str, Callable[[Any, Any], Any]]]

    def values(self, instance: Model) -> list[Any]:
        return [adapt(getattr(instance, name), connection) for name, adapt in self.sources]


@functools.lru_cache(256)
def _insert(model: type[Model], linked: tuple[str, ...]) -> _Insert:
    given = [
        column for column in model._meta.concrete_fields if not column.primary_key and column.attname not in linked
    ]
    columns = [_column(model, name) for name in linked] + [_column(model, column.name) for column in given]
    return _Insert(
        columns, [_cast(column) for column in given], [(column.attname, column.get_db_prep_save) for column in given]
    )


def _cast(column: Field[Any, Any]) -> str:
    kind = column.db_type(connection) or ""
    return "" if kind.startswith(TEXT) else f"::{kind}"


def _where(model: type[Model], pk: int, where: Mapping[str, Any]) -> tuple[str, list[Any]]:
    conditions, params = ["id = %s"], [pk]
    for name, value in where.items():
        column, adapted = _adapt(model, name, value)
        conditions.append(f"{column} IS NULL" if value is None else f"{column} = %s")
        params += [] if value is None else [adapted]
    return " AND ".join(conditions), params


def _adapt(model: type[Model], name: str, value: Any) -> tuple[str, Any]:
    return _column(model, name), model._meta.get_field(name).get_db_prep_save(value, connection)  # type: ignore[union-attr]


@functools.cache
def _column(model: type[Model], name: str) -> str:
    return connection.ops.quote_name(str(model._meta.get_field(name).column))  # type: ignore[union-attr]


@functools.cache
def _table(model: type[Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)
