"""The rulebook of groups, roles and references to groups, said once for every entrance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from idp.protocol.text import storable

if TYPE_CHECKING:
    from idp.models import Role

LONGEST_GROUP = 512  # characters: distinguished names are long, and PostgreSQL indexes 2,700 bytes
LONGEST_ROLE = 255
MOST_REFERENCES = 500
PERMISSION = ("resource_server_identifier", "permission_name")


def group_name_problem(name: object) -> str | None:
    """Every character is allowed that the databases keep: names are the source's, and compared letter for letter."""
    if not isinstance(name, str) or not name:
        return "a group's name is text that is not empty"
    if len(name) > LONGEST_GROUP:
        return f"a group's name has at most {LONGEST_GROUP} characters"
    return storable.problem(name)


def reference_problem(reference: Any) -> str | None:
    """A reference to a group: its name, from whatever source, or `{"connection": NAME, "name": NAME}` (connection null: ours)."""
    if isinstance(reference, str):
        return group_name_problem(reference)
    if not isinstance(reference, Mapping):
        return 'a group is named by its name, or by {"connection": …, "name": …}'
    if unknown := sorted(str(key) for key in reference.keys() - {"connection", "name"}):
        return f"a group has no key {unknown[0]}"
    if "connection" not in reference or not isinstance(reference["connection"], str | None):
        return "connection must be a connection's name, or null for the tenant's own groups"
    return group_name_problem(reference.get("name"))


def references_problems(references: Any) -> Iterator[tuple[int | None, str]]:
    """What is wrong with a list of references, each with its place."""
    if not isinstance(references, list):
        yield None, "it must be a list of groups"
        return
    if len(references) > MOST_REFERENCES:
        yield None, f"it has more than {MOST_REFERENCES} groups: make one group of them"
    for index, reference in enumerate(references):
        if reason := reference_problem(reference):
            yield index, reason


def role_problems(role: Role) -> Iterator[tuple[str, str]]:
    """(column, reason) of everything that the rules have against a role as it is in memory."""
    if not role.name.strip() or len(role.name) > LONGEST_ROLE or not role.name.isprintable():
        yield "name", f"it must be printable text of 1 to {LONGEST_ROLE} characters"
    for index, permission in enumerate(role.permissions if isinstance(role.permissions, list) else [None]):
        if reason := permission_problem(permission):
            yield "permissions", f"[{index}]: {reason}"
    for place, reason in references_problems(role.groups):
        yield "groups", reason if place is None else f"[{place}]: {reason}"


def permission_problem(permission: Any) -> str | None:
    if not isinstance(permission, Mapping) or set(permission) != set(PERMISSION):
        return f"a permission has the keys {' and '.join(PERMISSION)}"
    if not all(isinstance(permission[key], str) and permission[key] for key in PERMISSION):
        return "both of its values are text"
    return storable.problem(dict(permission))
