"""What somebody has: groups, roles, applications that they are assigned to.

One statement, made when it is first asked for, or a part of another one (`HeldBy`), which is cheaper than a second one.

Of an account whose connection is switched off nothing counts: nobody vouches for it any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Func, JSONField

from idp.database import prepared
from idp.directory import references
from idp.directory.references import GroupKey
from idp.models import Application, Assignment, Connection, Group, Identity, Membership, ResourceServer, Role, User
from idp.tenants.configuration import Memo, Snapshot

_ROLES = Memo[tuple[Role, ...]]("roles")
_ACCESS = Memo[frozenset[str | GroupKey]]("groups that may use an application")
_ROLE_GROUPS = Memo[frozenset[str | GroupKey]]("groups that have a role")
_GROUP, _ROLE, _ASSIGNED = 1, 2, 3
_SQL = f"""
SELECT {_GROUP} AS kind, g.name AS name, source.name AS source, 0 AS key FROM {Membership._meta.db_table} m
JOIN {Group._meta.db_table} g ON g.id = m.group_id
LEFT JOIN {Connection._meta.db_table} source ON source.id = g.connection_id
WHERE m.user_id = %(user)s AND (source.id IS NULL OR source.enabled)
UNION
SELECT {_GROUP}, g.name, source.name, 0 FROM {Identity._meta.db_table} i
JOIN {Connection._meta.db_table} c ON c.id = i.connection_id
JOIN {Membership._meta.db_table} m ON m.identity_id = i.id
JOIN {Group._meta.db_table} g ON g.id = m.group_id
LEFT JOIN {Connection._meta.db_table} source ON source.id = g.connection_id
WHERE i.user_id = %(user)s AND c.enabled
UNION ALL
SELECT {_ROLE}, '', NULL, r.role_id FROM {Role.people.through._meta.db_table} r WHERE r.user_id = %(user)s
UNION ALL
SELECT {_ASSIGNED}, '', NULL, a.application_id FROM {Assignment._meta.db_table} a WHERE a.user_id = %(user)s"""  # noqa: S608  constants only


@dataclass(frozen=True, slots=True)
class Entitlements:
    """`groups` in the order of their names; `roles` and `assigned` are keys of rows."""

    groups: tuple[GroupKey, ...]
    roles: frozenset[int]
    assigned: frozenset[int]

    @property
    def group_names(self) -> list[str]:
        return list(dict.fromkeys(group.name for group in self.groups))


def of(user: User) -> Entitlements:
    """Loaded once for each instance of a person, which lives as long as a request."""
    found: Entitlements | None = user.__dict__.get("_entitlements")
    if found is None:
        found = user.__dict__["_entitlements"] = load(user.pk)
    return found


def load(user_pk: int) -> Entitlements:
    return _read(prepared.fetch(_SQL, {"user": user_pk}))


class HeldBy(Func):
    """`HeldBy("family__user_id")`: the same as a column of another statement, for `remember`."""

    output_field = JSONField()

    def __init__(self, user: str) -> None:
        super().__init__(F(user))

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, tuple[Any, ...]]:
        return self._select(compiler, "json_agg(json_build_array(kind, name, source, key))")

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, tuple[Any, ...]]:
        return self._select(compiler, "json_group_array(json_array(kind, name, source, key))")

    def _select(self, compiler: Any, rows: str) -> tuple[str, tuple[Any, ...]]:
        user, _ = compiler.compile(self.source_expressions[0])
        held = _SQL.replace("%(user)s", user)
        return f"(SELECT COALESCE(CAST({rows} AS text), '[]') FROM ({held}) AS held)", ()  # noqa: S608  names only


def remember(user: User, held: Iterable[tuple[int, str, str | None, int]]) -> None:
    """What a statement has read by `HeldBy` is not asked for again in this request."""
    user.__dict__["_entitlements"] = _read(held)


def _read(held: Iterable[Any]) -> Entitlements:
    groups: list[tuple[str, str]] = []
    keys: dict[int, list[int]] = {_ROLE: [], _ASSIGNED: []}
    for kind, name, source, key in held:
        if kind == _GROUP:
            groups.append((name, source or ""))
        else:
            keys[kind].append(key)
    groups.sort()
    in_order = tuple([GroupKey(source, name) for name, source in groups])
    return Entitlements(in_order, frozenset(keys[_ROLE]), frozenset(keys[_ASSIGNED]))


def all_roles(snapshot: Snapshot) -> tuple[Role, ...]:
    return snapshot.derived(_ROLES, lambda: tuple(Role.objects.order_by("name")))


def roles_of(user: User, snapshot: Snapshot) -> list[Role]:
    """Given to the person, or to a group that they are in."""
    if not (roles := all_roles(snapshot)):
        return []
    has = of(user)
    return [
        role for role in roles if role.pk in has.roles or references.matching(_groups_of(role, snapshot), has.groups)
    ]


def permissions_of(user: User, api: ResourceServer, snapshot: Snapshot) -> list[str]:
    """What the person's roles allow at an API, as far as the API still has it."""
    granted = {
        permission.get("permission_name")
        for role in roles_of(user, snapshot)
        for permission in role.permissions
        if permission.get("resource_server_identifier") == api.identifier
    }
    return sorted(granted & api.scope_values)


def admitting_groups(application: Application, snapshot: Snapshot) -> frozenset[str | GroupKey]:
    return snapshot.derived(_ACCESS, lambda: references.read(application.access_groups), application.pk)


def assigned_groups(user: User, application: Application, snapshot: Snapshot) -> list[str]:
    """The names of those of the person's groups that the application is for."""
    found = references.matching(admitting_groups(application, snapshot), of(user).groups)
    return list(dict.fromkeys(group.name for group in found))


def _groups_of(role: Role, snapshot: Snapshot) -> frozenset[str | GroupKey]:
    return snapshot.derived(_ROLE_GROUPS, lambda: references.read(role.groups), role.pk)
