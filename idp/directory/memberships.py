"""Who is in which group: each source says it anew and replaces what it said before; nothing of what another source said.

Acts are one transaction each, with the signals that tell of them. The person's row is locked first, as by everybody who
changes what is a person's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import structlog
from django.db import transaction
from django.db.models import QuerySet

from idp import signals
from idp.directory import rules
from idp.models import Application, Connection, Group, Identity, Membership, Role, Source, User

log = structlog.get_logger(__name__)
AT_ONCE = 500  # names in one statement
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Changed:
    """Names of groups, in order."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def receive(identity: Identity, groups: Any, *, at: datetime) -> None:
    """What the connection says at a sign-in: the groups that its profile names are those that the account is in from now on.

    No statement where they are as they were. A connection that names none has taken them away, whatever its reason.
    """
    names = storable_names(groups, identity)
    digest = digest_of(names)
    if digest == identity.groups_digest:
        return
    with transaction.atomic():
        actor = f"upstream:{identity.connection.name}"
        replace_memberships(identity, names, Source.UPSTREAM, at=at, actor=actor)
        Identity.objects.filter(pk=identity.pk).update(groups_digest=digest)
    identity.groups_digest = digest


def replace_memberships(
    identity: Identity, names: Iterable[str], source: Source, *, at: datetime, actor: str = "system"
) -> Changed:
    """The account is, as far as this source says, in the groups of its connection with these names and in no other.

    Groups that are not there yet are made. Raises ValueError for a name that the rules do not allow.
    """
    wanted = dict.fromkeys(names)
    for name in wanted:
        if reason := rules.group_name_problem(name):
            raise ValueError(reason)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).filter(pk=identity.user_id).values_list("pk").first()
        has = dict(_said(identity, source).values_list("group__name", "pk"))
        changed = Changed(tuple(sorted(wanted.keys() - has.keys())), tuple(sorted(has.keys() - wanted.keys())))
        _add(identity, changed.added, source, at)
        for keys in _batched((has[name] for name in changed.removed), AT_ONCE):
            Membership.objects.filter(pk__in=keys).delete()
        _tell(identity.user, changed, identity.connection, source, actor, at)
    return changed


def set_members(
    group: Group, identities: Collection[Identity], source: Source, *, at: datetime, actor: str = "system"
) -> None:
    """The group has, as far as this source says, these accounts and no others: the other way round, for provisioning."""
    with transaction.atomic():
        has = {row.identity_id: row for row in _members(group, source)}
        wanted = {identity.pk: identity for identity in identities}
        change_members(
            group,
            add=[identity for pk, identity in wanted.items() if pk not in has],
            remove=[row.identity for pk, row in has.items() if pk not in wanted and row.identity],
            source=source,
            at=at,
            actor=actor,
        )


def change_members(
    group: Group,
    *,
    add: Iterable[Identity] = (),
    remove: Iterable[Identity] = (),
    source: Source,
    at: datetime,
    actor: str = "system",
) -> None:
    """These accounts are, and these are not, in the group any more, as far as this source says."""
    joining, leaving = list(add), list(remove)
    with transaction.atomic():
        people = sorted({identity.user_id for identity in (*joining, *leaving)})
        list(User.objects.select_for_update(no_key=True).filter(pk__in=people).order_by("pk").values_list("pk"))
        for identity in joining:
            if Membership.objects.get_or_create(group=group, identity=identity, source=source, defaults={"since": at})[
                1
            ]:
                _tell(identity.user, Changed(added=(group.name,)), group.connection, source, actor, at)
        for identity in leaving:
            if Membership.objects.filter(group=group, identity=identity, source=source).delete()[0]:
                _tell(identity.user, Changed(removed=(group.name,)), group.connection, source, actor, at)


def add_person(group: Group, user: User, *, actor: str, at: datetime) -> bool:
    """An administrator puts a person into a group. False: they are in it already, by an administrator."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk").first()
        _, is_new = Membership.objects.get_or_create(
            group=group, user=user, source=Source.ADMINISTRATOR, defaults={"since": at}
        )
        if is_new:
            _tell(user, Changed(added=(group.name,)), group.connection, Source.ADMINISTRATOR, actor, at)
    return is_new


def remove_person(group: Group, user: User, *, actor: str, at: datetime) -> bool:
    """An administrator takes back what an administrator gave; what the connection says stays."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk").first()
        rows = Membership.objects.filter(group=group, user=user, source=Source.ADMINISTRATOR)
        if not rows.delete()[0]:
            return False
        _tell(user, Changed(removed=(group.name,)), group.connection, Source.ADMINISTRATOR, actor, at)
    return True


def delete_group(group: Group, *, actor: str, at: datetime) -> None:
    """Nobody is in it any more. One that a connection still names comes again at the next sign-in of somebody who is in it."""
    with transaction.atomic():
        rows = Membership.objects.filter(group=group)
        accounts = list(rows.exclude(identity=None).values_list("identity", flat=True))
        people = {*rows.exclude(user=None).values_list("user", flat=True)}
        people |= {*rows.exclude(identity=None).values_list("identity__user", flat=True)}
        for keys in _batched(accounts, AT_ONCE):
            Identity.objects.filter(pk__in=keys).update(groups_digest="asked anew")
        signals.group_deleted.send(Group, group=group, people=len(people), actor=actor, at=at)
        group.delete()
        signals.access_changed.send(Group, users=sorted(people), applications=None, actor=actor, at=at)


def rename_group(group: Group, name: str, *, actor: str, at: datetime) -> None:
    """The same group under another name, for provisioning. Applications and roles that name it with its source follow; those
    that go by the name alone mean the old name. Raises ValueError for a name that is none, or another group's.
    """
    if reason := rules.group_name_problem(name):
        raise ValueError(reason)
    if Group.objects.filter(connection=group.connection, name=name).exclude(pk=group.pk).exists():
        raise ValueError("another group of this source has this name")
    old = {"connection": group.connection.name if group.connection else None, "name": group.name}
    with transaction.atomic():
        Identity.objects.filter(memberships__group=group).update(groups_digest="asked anew")
        Group.objects.filter(pk=group.pk).update(name=name, updated_at=at)
        for model, column in ((Application, "access_groups"), (Role, "groups")):
            _follow(model, column, old, old | {"name": name})
        group.name = name
        signals.access_changed.send(Group, users=None, applications=None, actor=actor, at=at)


def _follow(model: type[Application] | type[Role], column: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    for row in model._default_manager.select_for_update().exclude(**{column: []}).order_by("pk"):
        references = getattr(row, column)
        if old in references:
            setattr(row, column, [new if reference == old else reference for reference in references])
            row.save(update_fields=[column])


def group_of(connection: Connection | None, name: str) -> Group:
    """The group of this source with this name, made if it is not there. Raises ValueError for a name that is none."""
    if reason := rules.group_name_problem(name):
        raise ValueError(reason)
    return Group.objects.get_or_create(connection=connection, name=name)[0]


def storable_names(groups: Any, identity: Identity) -> list[str]:
    """The names that can be kept, in order. What cannot is nobody's group: told to the log, never made into another name."""
    given = groups if isinstance(groups, list | tuple) else []
    names = {name for name in given if not rules.group_name_problem(name)}
    if left_out := len([name for name in given if rules.group_name_problem(name)]):
        log.warning("groups.left_out", connection=identity.connection.name, identity=identity.pk, count=left_out)
    return sorted(names)


def digest_of(names: Collection[str]) -> str:
    return hashlib.sha256(json.dumps(sorted(names)).encode()).hexdigest() if names else ""


def _batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(values)
    while some := list(islice(left, size)):
        yield some


def _said(identity: Identity, source: Source) -> QuerySet[Membership]:
    return Membership.objects.filter(identity=identity, source=source, group__connection=identity.connection_id)


def _members(group: Group, source: Source) -> QuerySet[Membership]:
    return Membership.objects.filter(group=group, source=source).exclude(identity=None).select_related("identity__user")


def _add(identity: Identity, names: Collection[str], source: Source, at: datetime) -> None:
    """In the order of the names, so that two people who bring the same new groups never wait for each other in a circle."""
    for some in _batched(names, AT_ONCE):
        groups = _groups(identity.connection, some, at)
        rows = [Membership(group=group, identity=identity, source=source, since=at) for group in groups]
        Membership.objects.bulk_create(rows, ignore_conflicts=True)


def _groups(connection: Connection, names: Collection[str], at: datetime) -> Iterator[Group]:
    known = Group.objects.filter(connection=connection, name__in=names)
    missing = sorted(set(names) - {*known.values_list("name", flat=True)})
    if missing:
        new = [Group(connection=connection, name=name, created_at=at) for name in missing]
        Group.objects.bulk_create(new, ignore_conflicts=True)
    return known.order_by("name").iterator()


def _tell(
    user: User, changed: Changed, connection: Connection | None, source: Source, actor: str, at: datetime
) -> None:
    if not changed:
        return
    user.__dict__.pop("_entitlements", None)
    facts = {"added": changed.added, "removed": changed.removed, "source": source}
    signals.groups_changed.send(User, user=user, connection=connection, actor=actor, at=at, **facts)
    if changed.removed:
        signals.access_changed.send(User, users=[user.pk], applications=None, actor=actor, at=at)
