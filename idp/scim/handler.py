"""Requests as scim2-server serves them; members of groups are changed by what a request says of them, never as a whole list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from scim2_models import InvalidPathException, InvalidValueException, PatchOp, Resource, ResourceType, User
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, ValuePath
from scim2_server.conditions import Conditions
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse

from idp.models import ProvisionedGroup
from idp.scim.groups import values_of
from idp.scim.resources import Group as ScimGroup
from idp.scim.service import Service
from idp.scim.store import Store

MEMBERS = "members"
MOST_SENT_BACK = 100  # members; else a source that adds them one by one reads all of them each time
CAPITAL = re.compile(rb'"op"\s*:\s*"[A-Z]')
SCHEMA = str(ScimGroup.__schema__).lower()


@dataclass(slots=True)
class MemberChange:
    """In order. `values` None: all of them."""

    op: str
    values: list[str] | None


@dataclass(slots=True)
class Split:
    """A PATCH of a group: what it does to members, and what the engine does to everything else."""

    members: list[MemberChange] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)


class Handler(ScimHandler):
    service: Service
    storage: Store
    _is_large = False

    def patch(self, request: ScimRequest) -> ScimResponse:
        """A group that has very many members is not sent back, nor one to Entra, whose own name of an `op` is in capitals."""
        response = super().patch(request)
        asked = any(name in request.query for name in ("attributes", "excludedAttributes"))
        is_group = request.path.strip("/").lower().startswith("groups/")
        if is_group and not asked and (self._is_large or CAPITAL.search(request.body)):
            headers = {name: value for name, value in response.headers.items() if name == "ETag"}
            return ScimResponse(HTTPStatus.NO_CONTENT, None, headers)
        return response

    def replace_resource(
        self, resource_type: ResourceType, current: Resource[Any], replacement: Resource[Any], conditions: Conditions
    ) -> Resource[Any]:
        if isinstance(replacement, User):
            if replacement.active is None and isinstance(current, User):
                replacement.active = current.active
            return super().replace_resource(resource_type, current, replacement, conditions)
        self.service.check_preconditions(current, "PUT", conditions)
        replacement.replace(current)
        return self.storage.update(resource_type, replacement)

    def patch_resource(
        self, resource_type: ResourceType, resource_id: str, patch_op: PatchOp[Any], conditions: Conditions
    ) -> Resource[Any]:
        if resource_type.name != "Group":
            return super().patch_resource(resource_type, resource_id, patch_op, conditions)
        groups = self.storage.groups
        current = groups.get(resource_id, lock=True, members=False)
        self.service.check_preconditions(current, "PATCH", conditions)
        split = split_operations(patch_op)
        row = groups.row(resource_id)
        for change in split.members:
            self._change_members(row, change)
        if split.others and patch_op.model_copy(update={"operations": split.others}).patch(current):
            groups.update(current, None, members=False)
            row = groups.row(resource_id)
        elif split.members:
            groups.touch(row)
        self._is_large = groups.size(row) > MOST_SENT_BACK
        return groups.resources([row], not self._is_large)[0]

    def _change_members(self, row: ProvisionedGroup, change: MemberChange) -> None:
        groups = self.storage.groups
        if change.op == "add":
            groups.change_members(row, change.values or (), ())
        elif change.op == "remove" and change.values is not None:
            groups.change_members(row, (), change.values)
        else:
            groups.replace_members(row, change.values or ())


def split_operations(patch_op: PatchOp[Any]) -> Split:
    split = Split()
    for operation in patch_op.operations or ():
        path = str(operation.path).lower().removeprefix(f"{SCHEMA}:") if operation.path is not None else ""
        if path.startswith(MEMBERS):
            split.members.append(_member_change(operation, path))
        elif not path and isinstance(operation.value, dict):
            _take_apart(operation, split)
        else:
            split.others.append(operation)
    return split


def _take_apart(operation: Any, split: Split) -> None:
    """Without a path the value says several attributes at once."""
    rest = {}
    for name, value in operation.value.items():
        if name.lower().removeprefix(f"{SCHEMA}:") == MEMBERS:
            split.members.append(MemberChange(operation.op.value, _values(value)))
        else:
            rest[name] = value
    if rest:
        split.others.append(operation.model_copy(update={"value": rest}))


def _member_change(operation: Any, path: str) -> MemberChange:
    op = operation.op.value
    if path == MEMBERS:
        return MemberChange(op, None if operation.value is None else _values(operation.value))
    node = operation.path.ast
    if op != "remove" or not isinstance(node, ValuePath) or node.sub_attr:
        raise InvalidPathException(detail='Members are named as members[value eq "id"], and only removed that way.')
    return MemberChange(op, list(_named(node.val_filter)))


def _named(node: FilterNode) -> Iterator[str]:
    if isinstance(node, LogicalExpr) and node.op == "or":
        for term in node.terms:
            yield from _named(term)
    elif (
        isinstance(node, Comparison)
        and node.op == CompareOperator.eq
        and str(node.attr_path).lower() == "value"
        and isinstance(node.value, str)
    ):
        yield node.value
    else:
        raise InvalidPathException(detail='Members are named as members[value eq "id"].')


def _values(value: Any) -> list[str]:
    """Of a list of members, of one member, and of bare ids as some send them."""
    entries = value if isinstance(value, list) else [value]
    try:
        members = [entry if isinstance(entry, str) else ScimGroup.Members.model_validate(entry) for entry in entries]
    except ValueError as error:
        raise InvalidValueException(detail='A member is {"value": "id"}.') from error
    return [value for member in members for value in ([member] if isinstance(member, str) else values_of([member]))]
