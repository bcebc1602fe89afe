"""Who may use an application. Whoever is not known to may, may not."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Q, QuerySet

from idp.directory import entitlements, references
from idp.directory.references import GroupKey
from idp.models import AccessMode, Application, Assignment, Group, Membership, User
from idp.tenants.configuration import Snapshot


def is_admitted(application: Application, user: User, snapshot: Snapshot) -> bool:
    """No statement for an application that is for everybody, one for the person else."""
    if application.access_mode == AccessMode.EVERYONE:
        return True
    if application.access_mode == AccessMode.ASSIGNED:
        return application.pk in entitlements.of(user).assigned
    if application.access_mode == AccessMode.GROUPS:
        return bool(entitlements.assigned_groups(user, application, snapshot))
    return False


def not_admitted(application: Application, user: str) -> Q:
    """The same rule, the other way round, for a query in whose rows `user` is the path to a person."""
    if application.access_mode == AccessMode.EVERYONE:
        return Q(pk__in=[])
    person = OuterRef(user)
    if application.access_mode == AccessMode.ASSIGNED:
        return ~Q(Exists(Assignment.objects.filter(application=application, user=person)))
    is_by_group = application.access_mode == AccessMode.GROUPS
    groups = _groups_named(references.read(application.access_groups if is_by_group else []))
    rows = Membership.objects.filter(Q(group__connection=None) | Q(group__connection__enabled=True), group__in=groups)
    through = rows.filter(identity__user=person, identity__connection__enabled=True)
    return ~Q(Exists(rows.filter(user=person))) & ~Q(Exists(through))


def _groups_named(wanted: Iterable[str | GroupKey]) -> QuerySet[Group]:
    named = Q(pk__in=[])
    for reference in wanted:
        if isinstance(reference, str):
            named |= Q(name=reference)
        else:
            of_source = Q(connection__name=reference.connection) if reference.connection else Q(connection=None)
            named |= of_source & Q(name=reference.name)
    return Group.objects.filter(named)
