"""The audit trail has one room: nobody outside of it names its table, its columns or a kind of line as text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessions_app.audit import sql
from sessions_app.audit.events import EventGroup, EventType, Fact, called, of_group, words
from sessions_app.models import SessionEvent
from tests.support import audit_page

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]
APPS = ("idp", "sessions_app", "logout_app")
ROOM = "sessions_app/audit"
KNOWS_THE_TABLE = {
    "sessions_app/models.py",
    "sessions_app/admin/audit.py",
}  # what it is, and what an administrator sees of it
# Words that mean other things as well (a state, an entry of a page) count only where a kind of line is meant.
ORDINARY = {"opened", "joined", "ended"}


def outside() -> Iterator[tuple[str, str]]:
    """Every source file that is not the room's: its name and text. Migrations are history."""
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if "migrations" not in path.parts and not name.startswith(f"{ROOM}/"):
                yield name, path.read_text()


def texts(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_nobody_outside_of_the_room_names_the_table() -> None:
    table = SessionEvent._meta.db_table
    found = {
        name for name, text in outside() if "SessionEvent" in text.replace("SessionEventAdmin", "") or table in text
    }
    assert found <= KNOWS_THE_TABLE


def test_nobody_outside_of_the_room_writes_a_kind_of_line_as_text() -> None:
    kinds = {event.value for event in EventType} - ORDINARY
    found = [f"{name}:{line}: {text}" for name, source in outside() for line, text in texts(source) if text in kinds]
    assert found == []


def test_a_line_is_written_by_its_kind_wherever_it_is_written() -> None:
    """The first argument of the writers says `EventType.…`, or a name that is one by its annotation."""
    found = [
        f"{name}:{call.lineno}"
        for name, source in outside()
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("trail.record", "trail.line", "audit.insert", "sql.insert")
        and not isinstance(call.args[0], ast.Attribute | ast.Name)
    ]
    assert found == []


def test_the_room_asks_for_no_pages_and_no_administration() -> None:
    imported = {
        node.module
        for path in (ROOT / ROOM).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert [module for module in sorted(imported) if {"admin", "views"} & set(module.split("."))] == []


@pytest.mark.parametrize("event", EventType)
def test_every_kind_says_what_it_means_and_whom_it_is_about(event: EventType) -> None:
    assert event.words
    assert event.meaning.endswith(".")
    assert event.group in EventGroup
    assert not event.facts & event.others
    assert len(event.value) <= SessionEvent._meta.get_field("type").max_length
    assert words(event.value) == event.words
    assert called(event.value.upper()) == called(f" {event.words} ") == [event]


@pytest.mark.parametrize("group", EventGroup)
def test_every_group_has_kinds(group: EventGroup) -> None:
    assert of_group(group)


def test_every_fact_is_a_column() -> None:
    columns = {field.column for field in SessionEvent._meta.concrete_fields}
    assert columns == {"id", "at", "type", "data", *Fact}


@pytest.mark.parametrize(
    ("facts", "data", "wrong"),
    [
        ({Fact.CONNECTION: "''"}, {"status": "1", "reason": "''"}, "-actor"),
        ({Fact.CONNECTION: "''", Fact.ACTOR: "''", Fact.CLIENT: "''"}, {}, "client_id"),
        ({Fact.CONNECTION: "''", Fact.ACTOR: "''"}, {"secret": "''"}, "data.secret"),
    ],
)
def test_a_text_of_sql_that_does_not_fit_its_kind_is_refused_when_it_is_composed(facts, data, wrong: str) -> None:
    with pytest.raises(TypeError, match=wrong):
        sql.insert(EventType.UNIVERSAL_LOGOUT_FAILED, facts, data=data)


def test_the_audit_page_is_current() -> None:
    text = audit_page.PAGE.read_text()
    assert text == audit_page.page(text), "run `python -m tests.support.audit_page`"
