"""What the tenant file says of its `users` beside who they are: the roles, the tenant's own groups and the applications
that they are assigned to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q

from idp.directory import memberships, roles
from idp.models import Application, Group, Role, User
from idp.people import metadata
from idp.tenants.schema import PersonEntry, TenantFile


def unknown_roles(person: PersonEntry, file: TenantFile) -> list[str]:
    known = {role.name for role in file.roles} | {*Role.objects.values_list("name", flat=True)}
    return [
        f"{person.path}.roles[{index}]: there is no role {name}"
        for index, name in enumerate(person.roles or ())
        if name not in known
    ]


def columns(person: PersonEntry, user: User) -> dict[str, Any]:
    """What the file says, with metadata merged into those that the person has."""
    merged = {
        name: metadata.merged(getattr(user, name), person.columns[name])
        for name in ("user_metadata", "app_metadata")
        if name in person.columns
    }
    return person.columns | merged


def give(person: PersonEntry, user: User, actor: str, at: datetime) -> bool:
    """They have these by an administrator and no others; nothing changes where the file is silent."""
    changed = False
    if person.roles is not None:
        for role in Role.objects.all():
            act = roles.give if role.name in person.roles else roles.take
            changed |= act(role, user, actor=actor, at=at)
    if person.groups is not None:
        changed |= _groups(person.groups, user, actor, at)
    if person.applications is not None:
        changed |= _applications(person.applications, user, actor, at)
    return changed


def _applications(named: list[str], user: User, actor: str, at: datetime) -> bool:
    changed = False
    for application in Application.objects.filter(
        Q(assignments__user=user) | Q(name__in=named) | Q(client_id__in=named)
    ).distinct():
        wanted = application.client_id in named or application.name in named
        changed |= (roles.assign if wanted else roles.unassign)(application, user, actor=actor, at=at)
    return changed


def _groups(names: list[str], user: User, actor: str, at: datetime) -> bool:
    changed = False
    for group in Group.objects.filter(connection=None, memberships__user=user).exclude(name__in=names).distinct():
        changed |= memberships.remove_person(group, user, actor=actor, at=at)
    for name in names:
        changed |= memberships.add_person(memberships.group_of(None, name), user, actor=actor, at=at)
    return changed
