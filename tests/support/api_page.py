"""The tables of docs/api.md and docs/openapi.json from the operations: `python -m tests.support.api_page` writes both."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
DOCUMENT = PAGE.with_name("openapi.json")
BEGIN, END = "<!-- operations: written by `python -m tests.support.api_page` -->\n", "\n<!-- end -->"


def page(text: str) -> str:
    """The page with its tables as they should be."""
    begin, _, rest = text.partition(BEGIN)
    return begin + BEGIN + "\n" + _tables() + END + rest.partition(END)[2]


def document() -> str:
    """The OpenAPI document as it should be. Its library is imported only for this."""
    from tests.support.openapi.document import document as made

    return json.dumps(made(), indent=1, ensure_ascii=False) + "\n"


def _tables() -> str:
    from logout_app.api.table import OPERATIONS

    things: dict[str, list[str]] = defaultdict(list)
    for one in OPERATIONS:
        joined = " and " if one.needs_all else " or "
        scopes = joined.join(f"`{scope}`" for scope in one.scopes)
        query = ", ".join(f"`{name}`" for name in one.query)
        row = f"| {one.method} | `{one.address}` | {scopes} | {one.status} | {one.says} | {query} |"
        things[one.path.partition("/")[0]].append(row)
    head = ["| method | path | scope | answer | what | parameters |", "|---|---|---|---|---|---|"]
    return "\n".join("\n".join([f"### {thing}", "", *head, *rows, ""]) for thing, rows in things.items())


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    PAGE.write_text(page(PAGE.read_text()))
    DOCUMENT.write_text(document())
