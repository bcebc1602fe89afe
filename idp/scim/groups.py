"""The groups of one connection as SCIM resources. Members are read only where they are wanted, and changed one by one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import Q, QuerySet
from scim2_models import (
    InvalidValueException,
    Meta,
    NotFoundException,
    PreconditionFailedException,
    ScimFilter,
    UniquenessException,
)
from scim2_models.path import CompareOperator

from idp.directory import memberships
from idp.directory.rules import group_name_problem
from idp.models import Group, Identity, Membership, ProvisionedGroup, ProvisionedUser, Provisioning, Source
from idp.scim import standing
from idp.scim.context import Writer
from idp.scim.filters import Condition, Conditions, Make, exact, moment, text, whatever_case
from idp.scim.resources import Group as ScimGroup
from idp.scim.users import ID

NO_MEMBERS: frozenset[str] = frozenset()
AT_ONCE = 500


def _member(op: Any, value: Any) -> Condition | None:
    if op != CompareOperator.eq:
        return None
    inside = Membership.objects.filter(source=Source.SCIM, identity__provisioned__public_id=text(value))
    return Condition(Q(group__in=inside.values("group")))


COLUMNS: dict[str, Make] = {
    "id": exact("public_id"),
    "displayname": whatever_case("group__name"),
    "externalid": exact("group__external_id"),
    "members.value": _member,
    "meta.created": moment("created_at"),
    "meta.lastmodified": moment("modified_at"),
}


class Groups:
    name = "Group"

    def __init__(self, writer: Writer) -> None:
        self.writer, self.connection = writer, writer.connection

    def forget(self) -> None:
        """Nothing is kept between transactions."""

    # --- reading -----------------------------------------------------------------------------------------------------

    def rows(self) -> QuerySet[ProvisionedGroup]:
        return ProvisionedGroup.objects.select_related("group").filter(connection=self.connection).order_by("pk")

    @staticmethod
    def condition(found: ScimFilter[Any]) -> Condition:
        return Conditions(COLUMNS, found).visit(found.ast)

    def get(self, public_id: str, *, lock: bool = False, members: bool = True) -> ScimGroup:
        row = self.row(public_id, lock=lock)
        return self.resources([row], members)[0]

    def resources(self, rows: Sequence[ProvisionedGroup], members: bool = True) -> list[ScimGroup]:
        by_group = self._members([row.group_id for row in rows]) if members else {}
        return [resource(row, by_group.get(row.group_id, [])) for row in rows]

    def row(self, public_id: str, *, lock: bool = False) -> ProvisionedGroup:
        rows = self.rows().select_for_update(of=("self",)) if lock else self.rows()
        row = rows.filter(public_id=public_id).first() if ID.fullmatch(public_id) else None
        if row is None:
            raise NotFoundException(detail="There is no such group in this connection.")
        row.group.connection = self.connection
        return row

    def _members(self, groups: list[int]) -> dict[int, list[dict[str, str]]]:
        found: dict[int, list[dict[str, str]]] = {}
        rows = Membership.objects.filter(
            group__in=groups, source=Source.SCIM, identity__provisioned__isnull=False
        ).order_by("pk")
        names = ("group", "identity__provisioned__public_id")
        for group, key in rows.values_list(*names).iterator(chunk_size=2000):
            member = {"value": key, "$ref": f"Users/{key}", "type": "User"}
            found.setdefault(group, []).append(member)
        return found

    # --- writing -----------------------------------------------------------------------------------------------------

    def create(self, said: ScimGroup) -> ScimGroup:
        name = _name(said)
        group = memberships.group_of(self.connection, name)
        if ProvisionedGroup.objects.filter(group=group).exists():
            raise UniquenessException(detail=f"There is a group {name} already.")
        group.connection = self.connection
        row = ProvisionedGroup.objects.create(
            connection=self.connection, group=group, created_at=self.writer.at, modified_at=self.writer.at
        )
        self._name_outside(group, _external_id(said))
        standing.tell(self.writer, "group created", None, group=name)
        self._set_members(group, values_of(said.members))
        return self.resources([row])[0]

    def update(self, said: ScimGroup, expected: str | None, *, members: bool = True) -> ScimGroup:
        """`members`: whether the resource has all of them; else they stay."""
        row = self.row(str(said.id), lock=True)
        self._check(row, expected)
        self._rename(row.group, _name(said))
        self._name_outside(row.group, _external_id(said))
        if members:
            self._set_members(row.group, values_of(said.members))
        self.touch(row)
        return self.resources([row], members)[0]

    def delete(self, public_id: str, expected: str | None) -> None:
        row = self.row(public_id, lock=True)
        self._check(row, expected)
        self._set_members(row.group, NO_MEMBERS)
        standing.tell(self.writer, "group deleted", None, group=row.group.name)
        memberships.delete_group(row.group, actor=self.writer.actor, at=self.writer.at)

    def change_members(self, row: ProvisionedGroup, add: Collection[str], remove: Collection[str]) -> None:
        """A few of many. Whoever is removed and not there is no error (RFC 7644 section 3.5.2.2)."""
        joining, leaving = self._people(add, row.group), self._people(remove)
        self._change(row.group, joining, leaving)

    def replace_members(self, row: ProvisionedGroup, values: Collection[str]) -> None:
        self._set_members(row.group, values)

    def size(self, row: ProvisionedGroup) -> int:
        return Membership.objects.filter(group=row.group_id, source=Source.SCIM).count()

    def touch(self, row: ProvisionedGroup) -> None:
        row.version, row.modified_at = row.version + 1, self.writer.at
        ProvisionedGroup.objects.filter(pk=row.pk).update(version=row.version, modified_at=row.modified_at)

    @staticmethod
    def _check(row: ProvisionedGroup, expected: str | None) -> None:
        if expected is not None and expected != version(row):
            raise PreconditionFailedException

    def _rename(self, group: Group, name: str) -> None:
        if group.name == name:
            return
        try:
            before = group.name
            memberships.rename_group(group, name, actor=self.writer.actor, at=self.writer.at)
        except ValueError as error:
            raise UniquenessException(detail=f"{name}: {error}") from error
        self._require_by_new_name(before, name)
        standing.tell(self.writer, "group renamed", None, group=name, before=before)

    def _require_by_new_name(self, before: str, name: str) -> None:
        """The group that is required is the same one: nobody left it."""
        provisioning = self.writer.provisioning
        if provisioning.required_group == before:
            Provisioning.objects.filter(pk=provisioning.pk).update(required_group=name)
            provisioning.required_group = name

    @staticmethod
    def _name_outside(group: Group, external_id: str) -> None:
        if group.external_id != external_id:
            Group.objects.filter(pk=group.pk).update(external_id=external_id)
            group.external_id = external_id

    def _set_members(self, group: Group, values: Collection[str]) -> None:
        wanted = {identity.pk: identity for identity in self._people(values, group)}
        rows = Membership.objects.filter(group=group, source=Source.SCIM).exclude(identity=None)
        has = {row.identity_id: row.identity for row in rows.select_related("identity__user")}
        leaving = [identity for pk, identity in has.items() if pk not in wanted and identity]
        self._change(group, [identity for pk, identity in wanted.items() if pk not in has], leaving)

    def _change(self, group: Group, joining: Collection[Identity], leaving: Collection[Identity]) -> None:
        if not joining and not leaving:
            return
        writer = self.writer
        memberships.change_members(
            group, add=joining, remove=leaving, source=Source.SCIM, at=writer.at, actor=writer.actor
        )
        if writer.provisioning.required_group == group.name:
            keys = [identity.pk for identity in (*joining, *leaving)]
            rows = ProvisionedUser.objects.select_related("identity__user").filter(identity__in=keys, deleted_at=None)
            standing.settle(list(rows), writer)

    def _people(self, values: Collection[str], group: Group | None = None) -> list[Identity]:
        """The accounts with these SCIM ids. Whoever is not here is left out, and that is told with the `group`: to refuse all
        of it would keep in whom the same request takes out."""
        wanted = list(dict.fromkeys(values))
        keys = [value for value in wanted if ID.fullmatch(value)]
        found: list[Identity] = []
        for some in (keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE)):
            rows = ProvisionedUser.objects.filter(connection=self.connection, deleted_at=None, public_id__in=some)
            found += [row.identity for row in rows.select_related("identity__user") if row.identity]
        if group is not None and (left_out := len(wanted) - len(found)):
            standing.tell(self.writer, "members left out", None, group=group.name, left_out=left_out)
        return found


def values_of(members: Any) -> list[str]:
    if any(str(member.type or "User").lower() == "group" for member in members or ()):
        raise InvalidValueException(detail="Groups in groups are not supported: members are people.")
    return [str(member.value) for member in members or () if member.value]


def version(row: ProvisionedGroup) -> str:
    return f'W/"{row.version}"'


def resource(row: ProvisionedGroup, members: list[dict[str, str]]) -> ScimGroup:
    said: dict[str, Any] = {"id": row.public_id, "displayName": row.group.name, "schemas": [str(ScimGroup.__schema__)]}
    if row.group.external_id:
        said["externalId"] = row.group.external_id
    if members:
        said["members"] = members
    group = ScimGroup.model_validate(said)
    group.meta = Meta(
        resource_type="Group", created=row.created_at, last_modified=row.modified_at, version=version(row)
    )
    return group


def _name(said: ScimGroup) -> str:
    name = str(said.display_name or "")
    if reason := group_name_problem(name):
        raise InvalidValueException(detail=f"displayName: {reason}.")
    return name


def _external_id(said: ScimGroup) -> str:
    external_id = str(said.external_id or "")
    if len(external_id) > 255 or not external_id.isprintable():
        raise InvalidValueException(detail="externalId is printable text of at most 255 characters.")
    return external_id
