"""Somebody signs in whose account is not known by its id yet: are they one who was provisioned, or deleted, or a stranger?"""

from __future__ import annotations

from collections.abc import Iterator

from django.db import IntegrityError, transaction
from django.db.models import Q

from idp.connections.contract import Account, UpstreamFault
from idp.models import Connection, Identity, ProvisionedUser, Provisioning, SignInBy, Strategy
from idp.protocol.text import normal_forms

# What names the account there, beside its id, and what nobody can choose for themselves at their identity provider.
NAMES = {Strategy.OKTA: ("preferred_username",), Strategy.ENTRA: ("upn", "preferred_username")}


def claim(connection: Connection, account: Account) -> Identity | None:
    """The account that was provisioned for this one, which keeps its id from now on; None: nobody was.

    One SELECT where nothing is provisioned. Raises UpstreamFault for somebody whom the source deleted, and for a stranger
    where only provisioned people may sign in.
    """
    provisioning = Provisioning.objects.filter(connection=connection).first()
    if provisioning is None:
        return None
    found = _provisioned(provisioning, account)
    if found is not None:
        return _claimed(found, connection, account)
    if _is_deleted(connection, account):
        raise UpstreamFault(f"{connection.name} deleted this account by provisioning")
    if provisioning.only_provisioned and provisioning.enabled:
        raise UpstreamFault(f"{connection.name} has not provisioned this account, and lets in nobody else")
    return None


def names(connection: Connection, account: Account) -> Iterator[str]:
    yield normal_forms.name(account.sub)
    for claim_name in NAMES.get(Strategy(connection.strategy), ()):
        if isinstance(value := account.profile.get(claim_name), str) and value:
            yield normal_forms.name(value)


def _provisioned(provisioning: Provisioning, account: Account) -> ProvisionedUser | None:
    """By name, where the connection is told to, or while the source has said no id. Somebody who has an id is found by it only."""
    rows = ProvisionedUser.objects.select_related("identity__user").filter(
        connection=provisioning.connection_id,
        deleted_at=None,
        is_claimed=False,
        user_name_key__in=list(names(provisioning.connection, account)),
    )
    if provisioning.sign_in_by == SignInBy.EXTERNAL_ID:
        rows = rows.filter(external_id="")
    found = list(rows[:2])
    return found[0] if len(found) == 1 else None


def _claimed(row: ProvisionedUser, connection: Connection, account: Account) -> Identity | None:
    identity = row.identity
    assert identity is not None  # noqa: S101  only deleted rows have none
    try:
        with transaction.atomic():
            if not ProvisionedUser.objects.filter(pk=row.pk, is_claimed=False).update(is_claimed=True):
                return None
            Identity.objects.filter(pk=identity.pk).update(sub=account.sub)
    except IntegrityError:  # the same person, at the same moment
        return None
    identity.sub, identity.connection = account.sub, connection
    return identity


def _is_deleted(connection: Connection, account: Account) -> bool:
    """By its id, or by its name if it never had one."""
    by_name = Q(sub="", user_name_key__in=list(names(connection, account)))
    gone = ProvisionedUser.objects.filter(connection=connection, deleted_at__isnull=False)
    return gone.filter(by_name | Q(sub=account.sub)).exists()
