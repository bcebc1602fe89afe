"""The tables of docs/audit.md from the kinds of line: `python -m tests.support.audit_page` writes them."""

from __future__ import annotations

from pathlib import Path

from sessions_app.audit.events import EventGroup, EventType, Fact, of_group

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
BEGIN, END = "<!-- {}: written by `python -m tests.support.audit_page` -->\n", "\n<!-- end -->"


def page(text: str) -> str:
    """The page with its tables as they should be."""
    for name, table in (("facts", _facts()), ("kinds", _kinds())):
        begin, _, rest = text.partition(BEGIN.format(name))
        text = begin + BEGIN.format(name) + "\n" + table + END + rest.partition(END)[2]
    return text


def _facts() -> str:
    lines = ["| column | what it says |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{fact}` | {fact.meaning} |" for fact in Fact)]) + "\n"


def _kinds() -> str:
    return "\n".join(line for group in EventGroup for line in _group(group))


def _group(group: EventGroup) -> list[str]:
    head = [
        f"### {group.capitalize()}",
        "",
        group.meaning,
        "",
        "| type | called | means | always | if known | `data` |",
    ]
    return [*head, "|---|---|---|---|---|---|", *map(_row, of_group(group)), ""]


def _row(event: EventType) -> str:
    data = "; ".join(f"`{name}`: {meaning}" for name, meaning in event.data.items())
    return f"| `{event}` | {event.words} | {event.meaning} | {_names(event.facts)} | {_names(event.others)} | {data} |"


def _names(facts: frozenset[Fact]) -> str:
    return ", ".join(f"`{fact}`" for fact in Fact if fact in facts)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
