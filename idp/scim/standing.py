"""Whether a provisioned person may be in: the source says so, and the required group has them. What changes it is an end, or
the end of one; a block of an administrator's stays theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db import transaction

from idp import signals
from idp.models import Connection, Membership, ProvisionedUser, Provisioning, Source, User
from idp.scim.context import Writer

AT_ONCE = 200
INACTIVE = "active is false"
DELETED = "deleted at the source"


def settle(rows: Collection[ProvisionedUser], writer: Writer) -> None:
    """Keep out who must be out and let in who may be in, of these (with `identity__user`), whose people are locked."""
    members = _in_required_group(writer.provisioning, [row.identity_id for row in rows if row.identity_id])
    for row in rows:
        why = _why_not(row, writer.provisioning, members)
        if why and not row.is_blocked:
            keep_out(row, why, writer)
        elif not why and row.is_blocked:
            _let_in(row, writer)


def keep_out(row: ProvisionedUser, why: str, writer: Writer) -> None:
    """Blocked here, ended above: in the transaction of the request, before its answer."""
    user = _person(row)
    flipped = User.objects.filter(pk=user.pk, is_active=True).update(is_active=False, updated_at=writer.at)
    row.is_blocked = row.is_blocked or bool(flipped) or _held_elsewhere(row)  # once: a DELETE follows `active: false`
    user.is_active = False
    _save(row)
    signals.person_deprovisioned.send(
        User, user=user, connection=writer.connection, why=why, actor=writer.actor, at=writer.at, facts=writer.facts
    )


def _let_in(row: ProvisionedUser, writer: Writer) -> None:
    """What ended stays ended: the person's mark is not taken back."""
    row.is_blocked = False
    _save(row)
    if _held_elsewhere(row):
        return
    user = _person(row)
    user.is_active = True
    User.objects.filter(pk=user.pk, is_active=False).update(is_active=True, updated_at=writer.at)
    tell(writer, "reactivated", user)


def settle_all(provisioning: Provisioning, writer: Writer) -> int:
    """After the required group was changed; returns of how many the standing changed. Batch by batch, each its own act."""
    return sum(_settle_batch(keys, writer) for keys in _keys(provisioning.connection))


def outsiders(connection: Connection, group: str) -> int:
    """How many would be signed out if this group were required."""
    people = ProvisionedUser.objects.filter(connection=connection, deleted_at=None, is_blocked=False, active=True)
    inside = Membership.objects.filter(group__connection=connection, group__name=group, source=Source.SCIM)
    return people.exclude(identity__in=inside.values("identity")).count() if group else 0


def tell(writer: Writer, act: str, user: User | None, **data: object) -> None:
    signals.provisioned.send(
        User,
        user=user,
        connection=writer.connection,
        act=act,
        data={"credential": writer.credential, **data},
        actor=writer.actor,
        at=writer.at,
        facts=writer.facts,
    )


def lock_people(connection: Connection, public_ids: Collection[str]) -> None:
    """The people's rows first, in order, as everybody locks them who changes what is a person's."""
    people = User.objects.filter(
        identities__provisioned__connection=connection, identities__provisioned__public_id__in=public_ids
    )
    list(people.select_for_update(no_key=True, of=("self",)).order_by("pk").values_list("pk"))


def _settle_batch(keys: list[str], writer: Writer) -> int:
    with transaction.atomic():
        lock_people(writer.connection, keys)
        rows = list(
            ProvisionedUser.objects.select_related("identity__user").filter(public_id__in=keys, deleted_at=None)
        )
        before = {row.pk: row.is_blocked for row in rows}
        settle(rows, writer)
    return sum(row.is_blocked != before[row.pk] for row in rows)


def _keys(connection: Connection) -> Iterator[list[str]]:
    last = 0
    rows = ProvisionedUser.objects.filter(connection=connection, deleted_at=None).order_by("pk")
    while batch := list(rows.filter(pk__gt=last).values_list("pk", "public_id")[:AT_ONCE]):
        last = batch[-1][0]
        yield [public_id for _, public_id in batch]


def _in_required_group(provisioning: Provisioning, identities: list[int]) -> set[int | None] | None:
    """None: no group is required."""
    if not provisioning.required_group:
        return None
    rows = Membership.objects.filter(
        identity__in=identities,
        source=Source.SCIM,
        group__connection=provisioning.connection_id,
        group__name=provisioning.required_group,
    )
    return set(rows.values_list("identity", flat=True))


def _why_not(row: ProvisionedUser, provisioning: Provisioning, members: set[int | None] | None) -> str:
    if not row.active:
        return INACTIVE
    if members is not None and row.identity_id not in members:
        return f"not in the group {provisioning.required_group}"
    return ""


def _held_elsewhere(row: ProvisionedUser) -> bool:
    """Whether another source of the same person (an administrator linked their accounts) keeps them out."""
    held = ProvisionedUser.objects.filter(identity__user=_person(row).pk, is_blocked=True)
    return held.exclude(pk=row.pk).exists()


def _person(row: ProvisionedUser) -> User:
    assert row.identity is not None  # noqa: S101  rows without one are never asked
    return row.identity.user


def _save(row: ProvisionedUser) -> None:
    ProvisionedUser.objects.filter(pk=row.pk).update(is_blocked=row.is_blocked)
