"""A guard and the rows that depend on it, written as one act: all of them, or none if the guard found nothing.

On PostgreSQL it is one statement (a CTE), which needs no BEGIN and COMMIT around it; on SQLite a transaction of one
statement each. The rows are model instances that were never saved; what Django fills in at `save()` must be set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Model

from idp.models import User
from sessions_app.models import SSOSession


@dataclass(frozen=True, slots=True)
class Guard:
    """A conditional UPDATE or DELETE of one row: SQL up to and without RETURNING."""

    sql: str
    params: list[Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A row to insert. `links` gives columns by the name of a row before it, whose new id they hold.

    `once`: these columns are unique, and when they are taken the row is left out, and with it every row that comes `after` it.
    """

    name: str
    instance: Model
    links: Mapping[str, str]
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


def write(guard: Guard, rows: list[Row]) -> set[str]:
    """The names of the rows that were written, and "guard". Empty: the guard did not find its row."""
    return _in_one_statement(guard, rows) if connection.vendor == "postgresql" else _one_by_one(guard, rows)


def _in_one_statement(guard: Guard, rows: list[Row]) -> set[str]:
    parts, params = [f"guard AS ({guard.sql} RETURNING id)"], list(guard.params)
    for row in rows:
        columns, placeholders, values = _columns(row, {column: f"{name}_.id" for column, name in row.links.items()})
        sources = ["guard", *dict.fromkeys(f"{name}_" for name in (*row.links.values(), row.after) if name)]
        parts.append(
            f"{row.name}_ AS (INSERT INTO {_table(type(row.instance))} ({columns}) "  # noqa: S608
            f"SELECT {placeholders} FROM {', '.join(sources)}{_unless_taken(row)} RETURNING id)"
        )
        params += values
    parts_of = {"guard": "guard"} | {row.name: f"{row.name}_" for row in rows}
    counts = ", ".join(f"(SELECT count(*) FROM {part})" for part in parts_of.values())  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {', '.join(parts)} SELECT {counts}", params)
        return {name for name, count in zip(parts_of, cursor.fetchone(), strict=True) if count}


def _one_by_one(guard: Guard, rows: list[Row]) -> set[str]:
    ids: dict[str, int] = {}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{guard.sql} RETURNING id", guard.params)
        if not cursor.fetchall():
            return set()
        for row in rows:
            if row.after and row.after not in ids:
                continue
            columns, placeholders, values = _columns(row, {c: str(ids[name]) for c, name in row.links.items()})
            table = _table(type(row.instance))
            cursor.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({placeholders}){_unless_taken(row)} RETURNING id",  # noqa: S608
                values,
            )
            if written := cursor.fetchall():
                ids[row.name] = written[0][0]
    return {"guard", *ids}


def _unless_taken(row: Row) -> str:
    columns = ", ".join(connection.ops.quote_name(column) for column in row.once)
    return f" ON CONFLICT ({columns}) DO NOTHING" if columns else ""


def _columns(row: Row, links: Mapping[str, str]) -> tuple[str, str, list[Any]]:
    columns, placeholders, params = [], [], []
    for field in row.instance._meta.concrete_fields:
        if field.primary_key:
            continue
        columns.append(connection.ops.quote_name(str(field.column)))
        if field.attname in links:
            placeholders.append(links[field.attname])
        else:
            placeholders.append("%s")
            params.append(field.get_db_prep_save(getattr(row.instance, field.attname), connection))
    return ", ".join(columns), ", ".join(placeholders), params


def _where(model: type[Model], pk: int, where: Mapping[str, Any]) -> tuple[str, list[Any]]:
    conditions, params = ["id = %s"], [pk]
    for name, value in where.items():
        column, adapted = _adapt(model, name, value)
        conditions.append(f"{column} IS NULL" if value is None else f"{column} = %s")
        params += [] if value is None else [adapted]
    return " AND ".join(conditions), params


def _adapt(model: type[Model], name: str, value: Any) -> tuple[str, Any]:
    field = model._meta.get_field(name)
    return connection.ops.quote_name(str(field.column)), field.get_db_prep_save(value, connection)  # type: ignore[union-attr]


def _table(model: type[Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)
