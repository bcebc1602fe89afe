"""The audit trail in SQL: the text of lines that a statement writes with other rows."""

from __future__ import annotations

from collections.abc import Mapping

from sessions_app.audit.events import EventType, Fact, strange
from sessions_app.models import SessionEvent


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
