"""What somebody may: roles, the permissions that they give, groups. Permissions are given by roles only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from idp.directory import entitlements, roles
from idp.models import Group, ResourceServer, Role
from idp.tenants import configuration
from logout_app.api.frame import body, delegation, paging
from logout_app.api.frame.errors import ApiError, invalid_body
from logout_app.api.frame.operations import CHECKPOINTS, PAGES, Call, Operation
from logout_app.api.frame.times import iso
from logout_app.api.people import found

MOST_ROLES = 50


def role(row: Role) -> dict[str, Any]:
    return {"id": row.public_id, "name": row.name, "description": row.description}


def roles_named(ids: list[str] | None) -> list[Role]:
    if not ids:
        raise invalid_body("roles: is missing or empty")
    if len(ids) > MOST_ROLES:
        raise invalid_body(f"roles: has at most {MOST_ROLES} entries")
    rows = {row.public_id: row for row in Role.objects.filter(public_id__in=ids)}
    if missing := [one for one in ids if one not in rows]:
        raise ApiError(404, f"The role does not exist: {missing[0]}", "inexistent_role")
    return [rows[one] for one in ids]


def list_roles(call: Call, user_id: str) -> Any:
    """Given to the person; what a group gives shows in the permissions."""
    rows = Role.objects.filter(people=found.pk_of(user_id)).order_by("pk")
    return paging.pages(call, rows, "roles", role)


def give_roles(call: Call, user_id: str) -> None:
    user = found.person(user_id)
    for row in _asked(call):
        delegation.refuse_permissions_beyond(call, row.permissions)
        roles.give(row, user, actor=call.actor, at=call.at)


def take_roles(call: Call, user_id: str) -> None:
    user = found.person(user_id)
    for row in _asked(call):
        roles.take(row, user, actor=call.actor, at=call.at)


def _asked(call: Call) -> list[Role]:
    with body.reading(call.body) as reader:
        ids = reader.texts("roles")
    return roles_named(ids)


def list_permissions(call: Call, user_id: str) -> Any:
    """With every role that gives it, whether to the person or to a group of theirs."""
    user = found.person(user_id)
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for row in entitlements.roles_of(user, configuration.current()):
        source = {"source_type": "ROLE", "source_id": row.public_id, "source_name": row.name}
        for one in described(row.permissions):
            key = one["resource_server_identifier"], one["permission_name"]
            merged.setdefault(key, one | {"sources": []})["sources"].append(source)
    return paging.of_list(call, list(merged.values()), "permissions")


def described(permissions: Iterable[dict[str, str]]) -> list[dict[str, Any]]:
    """Auth0's form, with the names of the API and of the scope."""
    listed = list(permissions)
    named = {one["resource_server_identifier"] for one in listed}
    apis = {row.identifier: row for row in ResourceServer.objects.filter(identifier__in=named)} if named else {}
    return [_described(one, apis.get(one["resource_server_identifier"])) for one in listed]


def _described(one: dict[str, str], api: ResourceServer | None) -> dict[str, Any]:
    words = {scope["value"]: scope.get("description", "") for scope in api.scopes} if api else {}
    return {
        "permission_name": one["permission_name"],
        "description": words.get(one["permission_name"], ""),
        "resource_server_name": api.name if api else "",
        "resource_server_identifier": one["resource_server_identifier"],
    }


def refuse_permissions(call: Call, user_id: str) -> None:
    found.pk_of(user_id)
    raise ApiError(400, "Permissions are given by roles here, not to people one by one", "operation_not_supported")


def list_groups(call: Call, user_id: str) -> Any:
    pk = found.pk_of(user_id)
    rows = Group.objects.filter(Q(memberships__user=pk) | Q(memberships__identity__user=pk)).distinct()
    return paging.checkpoints(call, rows.select_related("connection"), "groups", _group)


def _group(row: Group) -> dict[str, Any]:
    return {
        "id": f"grp_{row.pk:016x}",
        "name": row.name,
        "description": row.description,
        "external_id": row.external_id or None,
        "connection_id": row.connection.public_id if row.connection else None,
        "created_at": iso(row.created_at),
    }


def list_organizations(call: Call, user_id: str) -> Any:
    """There are none."""
    found.pk_of(user_id)
    if call.query.has("take"):
        return {"organizations": []}
    return paging.of_list(call, [], "organizations")


USER = "users/<str:user_id>"
OPERATIONS = (
    Operation("GET", f"{USER}/roles", ["read:users", "read:roles", "read:role_members"], list_roles,
              "Roles that were given to somebody.", query=PAGES),
    Operation("POST", f"{USER}/roles", ["update:users", "update:roles"], give_roles, "Give somebody roles.", 204),
    Operation("DELETE", f"{USER}/roles", ["update:users", "update:roles"], take_roles,
              "Take roles away; what a group gives stays.", 204),
    Operation("GET", f"{USER}/permissions", ["read:users"], list_permissions,
              "What somebody may at APIs, and by which roles.", query=PAGES),
    Operation("POST", f"{USER}/permissions", ["update:users"], refuse_permissions,
              "Refused: permissions are given by roles.", 201),
    Operation("GET", f"{USER}/groups", ["read:users", "read:groups"], list_groups, "Groups that somebody is in.",
              query=CHECKPOINTS, listed="groups"),
    Operation("GET", f"{USER}/organizations", ["read:users", "read:organizations"], list_organizations,
              "Empty: there are no organizations.", query=(*PAGES, *CHECKPOINTS)),
)  # fmt: skip
