"""Entries of the tenant file's `roles`, in Auth0's names: name, description, permissions. `groups` is ours."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from idp.directory import roles as acts
from idp.directory import rules
from idp.models import Role
from idp.tenants import changes
from idp.tenants.applied import Applied
from idp.tenants.reader import Reader, given


@dataclass(slots=True)
class RoleEntry:
    path: str
    name: str
    columns: dict[str, Any]


def role(reader: Reader) -> RoleEntry:
    entry = RoleEntry(
        path=reader.path,
        name=reader.text("name", required=True, longest=rules.LONGEST_ROLE) or "",
        columns=given(
            description=reader.text("description", longest=255),
            permissions=_permissions(reader),
            groups=reader.anything("groups"),
        ),
    )
    reader.done()
    return entry


def _permissions(reader: Reader) -> list[dict[str, str]] | None:
    if not reader.has("permissions"):
        return None
    found = []
    for inner in reader.each("permissions"):
        api, name = (inner.text(key, required=True) or "" for key in rules.PERMISSION)
        inner.done()
        found.append({"resource_server_identifier": api, "permission_name": name})
    return found


def problems(entry: RoleEntry, scopes_of: Any) -> list[str]:
    """What the rules have against the role as it will be. `scopes_of(audience)`: an API's scopes, None where there is none."""
    will_be = copy.copy(Role.objects.filter(name=entry.name).first() or Role(name=entry.name))
    for column, value in entry.columns.items():
        setattr(will_be, column, value)
    found = [f"{entry.path}.{field}: {reason}" for field, reason in rules.role_problems(will_be)]
    return found or _unknown(entry, scopes_of)


def _unknown(entry: RoleEntry, scopes_of: Any) -> list[str]:
    found = []
    for index, permission in enumerate(entry.columns.get("permissions", ())):
        api, name = (permission[key] for key in rules.PERMISSION)
        scopes = scopes_of(api)
        if scopes is None:
            found.append(f"{entry.path}.permissions[{index}]: there is no resource server {api}")
        elif name not in scopes:
            found.append(f"{entry.path}.permissions[{index}]: {api} has no scope {name}")
    return found


def apply(entry: RoleEntry, actor: str, at: datetime) -> Applied:
    row = Role.objects.select_for_update().filter(name=entry.name).first()
    before, row = copy.copy(row), row or Role(name=entry.name)
    changed = [column for column, value in entry.columns.items() if getattr(row, column) != value]
    if before is not None and not changed:
        return Applied("role", entry.name, "unchanged")
    for column in changed:
        setattr(row, column, entry.columns[column])
    row.save()
    acts.changed(before, row, actor=actor, at=at)
    found = changes.differences(before or Role(), row, entry.columns)
    return Applied("role", entry.name, "created" if before is None else "updated", changes=tuple(found))


def prune(entries: list[RoleEntry], actor: str, at: datetime) -> list[tuple[str, int]]:
    """Delete the roles that the file does not name; their names, and how many people had each by themselves."""
    gone = []
    for row in Role.objects.exclude(name__in=[entry.name for entry in entries]):
        gone.append((row.name, row.people.count()))
        acts.deleted(row, actor=actor, at=at)
        row.delete()
    return gone
