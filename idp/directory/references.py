"""How an application or a role names the groups that it is for: by name alone, or with the source.

A name alone means a group of that name from any source: whoever runs one of an application's connections can then put people
into it. With its connection a group is that connection's only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from idp.directory import rules


class GroupKey(NamedTuple):
    """A group by name and source; connection "": the tenant's own."""

    connection: str
    name: str


def read(references: Any) -> frozenset[str | GroupKey]:
    """What cannot be read names nobody."""
    usable = [item for item in references if not rules.reference_problem(item)] if isinstance(references, list) else []
    return frozenset(
        item if isinstance(item, str) else GroupKey(item["connection"] or "", item["name"]) for item in usable
    )


def matching(wanted: Collection[str | GroupKey], groups: Iterable[GroupKey]) -> list[GroupKey]:
    """Those of the groups that are named."""
    return [group for group in groups if group in wanted or group.name in wanted]
