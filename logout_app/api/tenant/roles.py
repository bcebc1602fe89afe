"""Roles, their permissions, and who has them."""

from __future__ import annotations

import copy
from typing import Any

from django.db import IntegrityError, transaction

from idp.directory import roles as acts
from idp.directory import rules
from idp.models import ResourceServer, Role, User
from logout_app.api.frame import body, delegation, paging
from logout_app.api.frame.body import BodyReader
from logout_app.api.frame.errors import ApiError, invalid_body, not_found
from logout_app.api.frame.operations import CHECKPOINTS, FIELDS, PAGES, Call, Operation
from logout_app.api.people.may import described, role

MOST_PEOPLE = 100
Permission = dict[str, str]


def list_roles(call: Call) -> Any:
    rows = Role.objects.order_by("pk")
    if call.query.text("type") not in ("", "tenant"):
        rows = rows.none()  # roles of organizations
    if name := call.query.text("name_filter"):
        rows = rows.filter(name__icontains=name)
    return paging.pages(call, rows, "roles", role)


def get(call: Call, role_id: str) -> Any:
    return role(find(role_id))


def create(call: Call) -> Any:
    row = Role()
    _read(call, row, required=True)
    _save(call, None, row)
    return role(row) | {"description": row.description or None}


def update(call: Call, role_id: str) -> Any:
    row = find(role_id, locked=True)
    before = copy.copy(row)
    _read(call, row, required=False)
    _save(call, before, row)
    return role(row)


def delete(call: Call, role_id: str) -> Any:
    row = find(role_id, locked=True)
    acts.deleted(row, actor=call.actor, at=call.at, facts=call.caller.facts)
    row.delete()
    return {}


def list_permissions(call: Call, role_id: str) -> Any:
    return paging.of_list(call, described(find(role_id).permissions), "permissions")


def add_permissions(call: Call, role_id: str) -> Any:
    row, asked = find(role_id, locked=True), _permissions(call)
    body.refuse(list(_unknown(asked)))
    delegation.refuse_permissions_beyond(call, asked)
    before = copy.copy(row)
    known = {tuple(sorted(one.items())): one for one in (*row.permissions, *asked)}
    row.permissions = list(known.values())
    _save(call, before, row)
    return {}


def remove_permissions(call: Call, role_id: str) -> None:
    row, asked = find(role_id, locked=True), _permissions(call)
    before = copy.copy(row)
    row.permissions = [one for one in row.permissions if one not in asked]
    _save(call, before, row)


def list_people(call: Call, role_id: str) -> Any:
    rows = User.objects.filter(roles=find(role_id)).order_by("pk")
    return paging.pages(call, rows, "users", _person)


def add_people(call: Call, role_id: str) -> None:
    row = find(role_id)
    with body.reading(call.body) as reader:
        ids = reader.texts("users") or []
    if not 0 < len(ids) <= MOST_PEOPLE:
        raise invalid_body(f"users: has 1 to {MOST_PEOPLE} entries")
    delegation.refuse_permissions_beyond(call, row.permissions)
    people = {user.user_id: user for user in User.objects.filter(user_id__in=ids)}
    if len(people) < len(ids):
        raise not_found("user")
    for user_id in ids:
        acts.give(row, people[user_id], actor=call.actor, at=call.at)


def find(role_id: str, *, locked: bool = False) -> Role:
    rows = Role.objects.select_for_update() if locked else Role.objects.all()
    row = rows.filter(public_id=role_id).first()
    if row is None:
        raise not_found("role")
    return row


def _read(call: Call, row: Role, *, required: bool) -> None:
    with body.reading(call.body) as reader:
        name = reader.text("name", required=required, longest=rules.LONGEST_ROLE)
        description = reader.text("description", longest=255)
        groups = reader.anything("groups")
    row.name = row.name if name is None else name
    row.description = row.description if description is None else description
    if groups is not None:
        delegation.refuse_permissions_beyond(call, row.permissions)
        row.groups = groups


def _save(call: Call, before: Role | None, row: Role) -> None:
    body.refuse([f"{field}: {reason}" for field, reason in rules.role_problems(row)])
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise ApiError(409, f"A role with the name {row.name} exists already", "conflict") from None
    acts.changed(before, row, actor=call.actor, at=call.at, facts=call.caller.facts)


def _permissions(call: Call) -> list[Permission]:
    with body.reading(call.body) as reader:
        found = [_permission(inner) for inner in reader.each("permissions")]
        if not found:
            reader.problem("permissions", "is missing or empty")
    return found


def _permission(reader: BodyReader | Any) -> Permission:
    found = {key: reader.text(key, required=True) or "" for key in rules.PERMISSION}
    reader.done()
    return found


def _unknown(asked: list[Permission]) -> Any:
    named = {one["resource_server_identifier"] for one in asked}
    apis = {row.identifier: row for row in ResourceServer.objects.filter(identifier__in=named)}
    for index, one in enumerate(asked):
        api = apis.get(one["resource_server_identifier"])
        if api is None:
            yield f"permissions[{index}]: there is no resource server {one['resource_server_identifier']}"
        elif one["permission_name"] not in api.scope_values:
            yield f"permissions[{index}]: {api.identifier} has no scope {one['permission_name']}"


def _person(row: User) -> dict[str, Any]:
    return {"user_id": row.user_id, "email": row.email, "name": row.name, "picture": row.picture}


OPERATIONS = (
    Operation("GET", "roles", ["read:roles"], list_roles, "Roles.", query=(*PAGES, "name_filter", "type")),
    Operation("POST", "roles", ["create:roles"], create, "Make a role."),
    Operation("GET", "roles/<str:role_id>", ["read:roles"], get, "One role."),
    Operation("PATCH", "roles/<str:role_id>", ["update:roles"], update, "Change name, description or groups."),
    Operation("DELETE", "roles/<str:role_id>", ["delete:roles"], delete, "Delete a role."),
    Operation("GET", "roles/<str:role_id>/permissions", ["read:roles"], list_permissions, "What it permits.", query=PAGES),
    Operation("POST", "roles/<str:role_id>/permissions", ["update:roles"], add_permissions, "Let it permit more.", 201),
    Operation("DELETE", "roles/<str:role_id>/permissions", ["update:roles"], remove_permissions, "Let it permit less.", 204),
    Operation("GET", "roles/<str:role_id>/users", ["read:users", "read:roles", "read:role_members"], list_people,
              "Who was given it.", query=(*PAGES, *CHECKPOINTS, *FIELDS), listed="users", standby=True),
    Operation("POST", "roles/<str:role_id>/users", ["update:roles"], add_people, "Give it to people.", 200),
)  # fmt: skip
