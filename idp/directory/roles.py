"""Acts on roles and assignments: who may do what. Each is one transaction with its signals."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from idp import signals
from idp.http.requests import RequestFacts
from idp.models import Application, Assignment, Role, User
from idp.tenants import changes
from idp.tenants.changes import NO_VALUE, Difference

FIELDS = ("name", "description", "permissions", "groups")


def stored(role: Role) -> Role | None:
    return Role.objects.filter(pk=role.pk).first() if role.pk else None


def changed(before: Role | None, role: Role, *, actor: str, at: datetime, facts: RequestFacts | None = None) -> None:
    """Tell of a role that was saved, in the transaction of the change."""
    found = [] if before else [Difference("role", NO_VALUE, role.name)]
    _tell(role, [*found, *changes.differences(before or Role(), role, FIELDS)], actor, at, facts)


def deleted(role: Role, *, actor: str, at: datetime, facts: RequestFacts | None = None) -> None:
    _tell(role, [Difference("role", role.name, NO_VALUE)], actor, at, facts)


def give(role: Role, user: User, *, actor: str, at: datetime) -> bool:
    """False: they have it already."""
    with transaction.atomic():
        if role.people.filter(pk=user.pk).exists():
            return False
        role.people.add(user)
        signals.roles_changed.send(User, user=user, added=[role.name], removed=[], actor=actor, at=at)
    user.__dict__.pop("_entitlements", None)
    return True


def take(role: Role, user: User, *, actor: str, at: datetime) -> bool:
    """False: they do not have it by themselves; what a group gives stays."""
    with transaction.atomic():
        if not role.people.filter(pk=user.pk).exists():
            return False
        role.people.remove(user)
        signals.roles_changed.send(User, user=user, added=[], removed=[role.name], actor=actor, at=at)
    user.__dict__.pop("_entitlements", None)
    return True


def assign(application: Application, user: User, *, actor: str, at: datetime) -> bool:
    """The person may use the application, where it is for assigned people. False: they may already."""
    with transaction.atomic():
        _, is_new = Assignment.objects.get_or_create(application=application, user=user, defaults={"since": at})
        if is_new:
            _tell_assignment(application, user, True, actor, at)
    return is_new


def unassign(application: Application, user: User, *, actor: str, at: datetime) -> bool:
    with transaction.atomic():
        if not Assignment.objects.filter(application=application, user=user).delete()[0]:
            return False
        _tell_assignment(application, user, False, actor, at)
        signals.access_changed.send(User, users=[user.pk], applications=[application.pk], actor=actor, at=at)
    return True


def _tell_assignment(application: Application, user: User, is_assigned: bool, actor: str, at: datetime) -> None:
    user.__dict__.pop("_entitlements", None)
    signals.assignments_changed.send(
        User, user=user, application=application, is_assigned=is_assigned, actor=actor, at=at
    )


def _tell(role: Role, found: list[Difference], actor: str, at: datetime, facts: RequestFacts | None) -> None:
    if found:
        signals.role_changed.send(Role, role=role, changes=changes.rows(found), actor=actor, at=at, facts=facts)
