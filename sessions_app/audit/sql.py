"""The audit trail in SQL: the text of lines that a statement writes with other rows, and how a database hears of the purge.

The permit's triggers are made by migration 0004. They ask a setting of the transaction on PostgreSQL, and on SQLite a
function that only our connections have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection

from sessions_app.audit.events import EventType, Fact, strange
from sessions_app.models import SessionEvent

SETTING = "curfew.purging"
FUNCTION = "curfew_purging"


def insert(event: EventType, facts: Mapping[Fact, str], *, data: Mapping[str, str], source: str = "") -> str:
    """INSERT of such lines, at the parameter `at`: one for each row of `source` (FROM … WHERE …), or one without.

    Facts and data are SQL expressions. The text says {object}, which makes JSON of names and values in turn.
    """
    if wrong := strange(event, facts, data):
        raise TypeError(f"a line of {event} is not like that: {', '.join(wrong)}")
    columns = {"at": "%(at)s", "type": f"'{event}'", **_facts(facts), "data": _object(data)}
    values = ", ".join(columns.values())
    into = f"INSERT INTO {SessionEvent._meta.db_table} ({', '.join(columns)})"
    return f"{into}\nSELECT {values}\n{source}" if source else f"{into}\nVALUES ({values})"


def _facts(given: Mapping[Fact, str]) -> dict[str, str]:
    """Every column has a value but `ip`, which is null when it is not known."""
    known = {fact.value: given.get(fact, "''") for fact in Fact}
    return known if Fact.IP in given else {name: value for name, value in known.items() if name != Fact.IP}


def _object(data: Mapping[str, str]) -> str:
    pairs = ", ".join(f"'{name}', {value}" for name, value in data.items())
    return f"{{object}}({pairs})"


def say_purging(value: str) -> None:
    """For the rest of the transaction."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, value])


def give_function(database: Any, is_purging: Callable[[], bool]) -> None:
    """To a connection that was just made."""
    if database.vendor == "sqlite":
        database.connection.create_function(FUNCTION, 0, is_purging)
