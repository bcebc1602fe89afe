"""What scim2-server reads and writes: people and groups of one connection, each write one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from scim2_models import (
    InvalidCursorException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimFilter,
    SearchRequest,
    TooManyException,
)
from scim2_server.storage import ScimStorage, SearchPage

from idp.scim.context import Writer
from idp.scim.groups import Groups
from idp.scim.resources import Group, UserModel
from idp.scim.service import MOST_RESULTS
from idp.scim.users import Users

Kind = Users | Groups
MODELS: dict[str, Any] = {"User": UserModel, "Group": Group}


class Store(ScimStorage):
    supports_cursors = True

    def __init__(self, writer: Writer, *, writes: bool) -> None:
        self.writes = writes
        self.users, self.groups = Users(writer), Groups(writer)

    @contextmanager
    def operation(self) -> Iterator[None]:
        self.users.forget()
        if not self.writes:
            yield
            return
        with transaction.atomic():
            yield

    def kind(self, resource_type: ResourceType) -> Kind:
        return self.users if resource_type.name == self.users.name else self.groups

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        if resource_type.name == self.users.name:
            return self.users.get(resource_id, lock=self.writes)
        members = not self.writes and wants_members(response_parameters)
        return self.groups.get(resource_id, lock=self.writes, members=members)

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        return self.kind(resource_type).create(resource)  # type: ignore[arg-type]

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        return self.kind(resource_type).update(resource, expected_version)  # type: ignore[arg-type]

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        self.kind(resource_type).delete(resource_id, expected_version)

    # --- searching ---------------------------------------------------------------------------------------------------

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        """One type after the other. A page and no more is in memory."""
        found = [Found(self.kind(kind), search_request) for kind in resource_types]
        if search_request.cursor is None:
            return _by_index(found, search_request)
        return _by_cursor(found, search_request, position)


class Found:
    """What of one type matches: rows that SQL selects, or few enough that the engine can look at each."""

    def __init__(self, kind: Kind, request: SearchRequest[Any]) -> None:
        self.kind = kind
        self.members = wants_members(request)
        self.rows: QuerySet[Any] = kind.rows()
        self.keys: list[int] | None = None
        if request.filter:
            bound: Any = ScimFilter.__class_getitem__(MODELS[kind.name])
            self._narrow(bound(str(request.filter)))

    def _narrow(self, wanted: ScimFilter[Any]) -> None:
        condition = self.kind.condition(wanted)
        self.rows = self.rows.filter(condition.q)
        if condition.is_exact:
            return
        candidates = list(self.rows[: MOST_RESULTS + 1])
        if len(candidates) > MOST_RESULTS:
            raise TooManyException(
                detail="This filter needs a look at too many resources. Add a condition on userName, externalId or id."
            )
        resources = self.kind.resources(candidates, "members" in str(wanted).lower())
        pairs = zip(candidates, resources, strict=True)
        self.keys = [row.pk for row, resource in pairs if wanted.match(resource)]
        self.rows = self.kind.rows().filter(pk__in=self.keys)

    def count(self) -> int:
        return self.rows.count() if self.keys is None else len(self.keys)

    def resources(self, rows: Any) -> list[Any]:
        return list(self.kind.resources(list(rows), self.members))


def _by_index(found: list[Found], request: SearchRequest[Any]) -> SearchPage:
    skip, room = request.start_index_0 or 0, request.count or 0
    total, resources = 0, list[Any]()
    for one in found:
        count = one.count()
        total += count
        if room > 0 and skip < count:
            page = one.resources(one.rows[skip : skip + room])
            resources += page
            room -= len(page)
        skip = max(0, skip - count)
    return SearchPage(total, resources)


def _by_cursor(found: list[Found], request: SearchRequest[Any], position: Any) -> SearchPage:
    """A position is the type and the key of the last resource: what is written meanwhile moves nothing."""
    first, last = (0, 0) if position is None else _read(position, len(found))
    total = sum(one.count() for one in found)
    room, resources = request.count or 0, list[Any]()
    for index in range(first, len(found)) if room else ():
        one = found[index]
        rows = list(one.rows.filter(pk__gt=last if index == first else 0)[: room + 1])
        resources += one.resources(rows[:room])
        if len(rows) > room or (len(rows) == room and index + 1 < len(found)):
            return SearchPage(total, resources, next=[index, rows[room - 1].pk])
        room -= len(rows)
    return SearchPage(total, resources)


def _read(position: Any, kinds: int) -> tuple[int, int]:
    match position:
        case [int(index), int(last)] if 0 <= index < kinds:
            return index, last
    raise InvalidCursorException


def wants_members(parameters: ResponseParameters[Any] | None) -> bool:
    """Whether an answer has the members of groups, which may be very many."""
    if parameters is None:
        return True
    excluded = [str(path).lower() for path in parameters.excluded_attributes or ()]
    asked = [str(path).lower() for path in parameters.attributes or ()]
    if any(path.endswith("members") for path in excluded):
        return False
    return not asked or any("members" in path for path in asked)
