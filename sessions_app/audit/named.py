"""Lines of the audit trail as people read them: names beside ids, what changed, and why something failed.

However many lines there are, three statements find the names. Who was deleted is an id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from idp.models import Application, Connection, User
from sessions_app.audit import events
from sessions_app.audit.events import EventType
from sessions_app.models import SessionEvent

WRONG = {
    True: "The password was wrong.",
    False: "Nobody here signs in by what was typed.",
}  # of a failed sign-in without another reason, by whether the account is known
SAID_APART = frozenset({"changes", "reason", "event"})


@dataclass(frozen=True, slots=True)
class Named:
    """`key` is the row's, None if there is none any more."""

    id: str
    name: str
    key: int | None = None

    def __str__(self) -> str:
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class ReadLine:
    row: SessionEvent
    words: str
    person: Named | None
    application: Named | None
    connection: Named | None
    by: str  # who did it, in words
    by_person: Named | None
    reason: str
    changes: Sequence[tuple[str, str, str]]  # what, from, to
    others: Sequence[tuple[str, str]]  # what else `data` holds
    end: int | None  # the key of the sign-out that it tells of


def read(rows: Iterable[SessionEvent]) -> list[ReadLine]:
    found = list(rows)
    actors = [row.actor.partition(":") for row in found]
    people = _people({row.sub for row in found} | {name for kind, _, name in actors if kind == "admin"})
    clients = {row.client_id for row in found} | {name for kind, _, name in actors if kind == "app"}
    applications = _applications(clients)
    connections = _connections({row.connection for row in found})
    return [_line(row, people, applications, connections) for row in found]


Names = Mapping[str, Named]


def _people(ids: set[str]) -> Names:
    rows = User.objects.filter(user_id__in=ids - {""}).values_list("user_id", "email", "name", "pk")
    return {sub: Named(sub, email or name, pk) for sub, email, name, pk in rows}


def _applications(ids: set[str]) -> Names:
    rows = Application.objects.filter(client_id__in=ids - {""}).values_list("client_id", "name", "pk")
    return {client_id: Named(client_id, name, pk) for client_id, name, pk in rows}


def _connections(names: set[str]) -> Names:
    rows = Connection.objects.filter(name__in=names - {""}).values_list("name", "display_name", "pk")
    return {name: Named(name, shown, pk) for name, shown, pk in rows}


def _line(row: SessionEvent, people: Names, applications: Names, connections: Names) -> ReadLine:
    by, by_person = _actor(row.actor, people, applications)
    data = row.data if isinstance(row.data, dict) else {"data": row.data}
    return ReadLine(
        row,
        events.words(row.type),
        _named(row.sub, people),
        _named(row.client_id, applications),
        _named(row.connection, connections),
        by,
        by_person,
        _reason(row, data),
        list(_changes(data.get("changes"))),
        [(name.replace("_", " "), _text(value)) for name, value in data.items() if name not in SAID_APART],
        data["event"] if isinstance(data.get("event"), int) else None,
    )


def _named(value: str, known: Names) -> Named | None:
    return known.get(value) or Named(value, "") if value else None


def _actor(actor: str, people: Names, applications: Names) -> tuple[str, Named | None]:
    kind, _, name = actor.partition(":")
    if kind == "admin":
        return "administrator", _named(name, people)
    if kind == "app":
        return f"application {applications.get(name) or name}", None
    words = {"user": "the person", "system": "Curfew itself", "upstream": f"identity provider of {name}"}
    words |= {"scim": f"provisioning of {name}", "operator": f"{name} on the command line"}
    return words.get(kind, actor), None


def _reason(row: SessionEvent, data: Mapping[str, Any]) -> str:
    if row.type == EventType.SIGN_IN_FAILED and not data.get("reason"):
        return WRONG[bool(row.sub)]
    return _text(data["reason"]) if data.get("reason") else ""


def _changes(found: Any) -> Iterable[tuple[str, str, str]]:
    """Of whatever release wrote them."""
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict):
            yield _text(one.get("what")), _text(one.get("from")), _text(one.get("to"))


def _text(value: Any) -> str:
    if value in (None, "", [], {}) and value is not False:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_text(one)}" for name, one in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
