"""Roles that permit something of our own APIs: who has them, and through which connections somebody may come by them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db.models import Q, QuerySet

from idp.directory import own_apis, references
from idp.directory.references import GroupKey
from idp.models import Connection, Membership, Role, User


def beyond(scopes: Collection[str]) -> list[Role]:
    """Those that permit more than who has these scopes of the Management API may give."""
    return [
        role
        for role in Role.objects.order_by("pk")
        if any(
            own_apis.beyond(one.get("resource_server_identifier"), [one.get("permission_name", "")], scopes)
            for one in role.permissions
        )
    ]


def people(roles: Collection[Role]) -> QuerySet[User]:
    """Whoever has one of them, by themselves or by a group of theirs; of a connection that is closed too."""
    held = Q(roles__in=[role.pk for role in roles])
    if named := _groups(roles):
        members = Membership.objects.filter(named)
        held |= Q(pk__in=members.values("user")) | Q(pk__in=members.values("identity__user"))
    return User.objects.filter(held).distinct()


def come_with_groups_of(connection: Connection, roles: Collection[Role]) -> bool:
    """Whether a group that the connection says somebody is in may give one of them; a name alone means any source."""
    return any(isinstance(one, str) or one.connection == connection.name for one in _references(roles))


def _groups(roles: Collection[Role]) -> Q:
    found = Q()
    for one in _references(roles):
        found |= _named(one)
    return found


def _named(one: str | GroupKey) -> Q:
    if isinstance(one, str):
        return Q(group__name=one)
    source = Q(group__connection__name=one.connection) if one.connection else Q(group__connection=None)
    return Q(group__name=one.name) & source


def _references(roles: Collection[Role]) -> Iterator[str | GroupKey]:
    for role in roles:
        yield from references.read(role.groups)
