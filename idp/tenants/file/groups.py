"""`groups` of the tenant file, which is ours: the tenant's own groups. Who is in them is said by `users`, or by an administrator."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from idp.directory import memberships
from idp.directory.rules import LONGEST_GROUP, group_name_problem
from idp.models import Group
from idp.tenants import changes
from idp.tenants.applied import Applied
from idp.tenants.changes import NO_VALUE, Difference
from idp.tenants.reader import Reader, given


@dataclass(slots=True)
class GroupEntry:
    path: str
    name: str
    columns: dict[str, Any]


def group(reader: Reader) -> GroupEntry:
    entry = GroupEntry(
        path=reader.path,
        name=reader.text("name", required=True, check=group_name_problem, longest=LONGEST_GROUP) or "",
        columns=given(description=reader.text("description", longest=255)),
    )
    reader.done()
    return entry


def apply(entry: GroupEntry) -> Applied:
    is_new = not Group.objects.filter(connection=None, name=entry.name).exists()
    row = memberships.group_of(None, entry.name)
    description = entry.columns.get("description", row.description)
    difference = Difference("description", changes.shown(row.description), changes.shown(description))
    found = (difference,) if difference.before != difference.after else ()
    if found:
        row.description = description
        row.save(update_fields=["description", "updated_at"])
    if is_new:
        return Applied("group", entry.name, "created", changes=(Difference("group", NO_VALUE, entry.name), *found))
    return Applied("group", entry.name, "updated" if found else "unchanged", changes=found)


def prune(kept: Collection[str], actor: str, at: datetime) -> list[tuple[str, int]]:
    """Delete the tenant's other groups; their names, and how many people were in each."""
    gone = []
    for row in Group.objects.filter(connection=None).exclude(name__in=kept):
        gone.append((row.name, row.memberships.count()))
        memberships.delete_group(row, actor=actor, at=at)
    return gone
