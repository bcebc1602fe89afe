"""Bearer tokens of a connection, in Auth0's shape: at most two, hashed, shown once."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from idp import signals
from idp.database.lookups import Given, Lookup
from idp.http.requests import RequestFacts
from idp.models import Connection, Provisioning, ProvisioningToken, SignInBy, Strategy
from idp.protocol.opaque import digest
from idp.scim.context import SCOPES

MOST_TOKENS = 2
SHORTEST = 900  # seconds, as at Auth0
USE_IS_NOTED_AFTER = timedelta(minutes=1)
_BY_ID = Lookup(
    lambda: ProvisioningToken.objects.select_related("provisioning__connection").filter(
        token_id=Given("token_id"), provisioning__enabled=True
    )
)
_TOKEN = re.compile(r"(tok_[0-9A-Za-z]{16})\.[0-9a-f]{64}", re.ASCII)
# Where the identity provider's own id of an account is what it sends as externalId too. Entra sends mailNickname unless an
# administrator maps objectId; a SAML NameID is most often the name that people sign in with.
_BY_EXTERNAL_ID = frozenset({Strategy.OKTA, Strategy.OIDC, Strategy.GOOGLE})


class CannotProvision(Exception):
    """A sentence that says why."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """`raw` is known here and now only."""

    row: ProvisioningToken
    raw: str


def switch_on(connection: Connection, *, actor: str, at: datetime, facts: RequestFacts | None = None) -> Provisioning:
    """Let the connection be written by SCIM. Raises CannotProvision for a database, whose people are ours."""
    if connection.strategy == Strategy.DATABASE:
        raise CannotProvision("People of a database are ours: nobody provisions them by SCIM.")
    with transaction.atomic():
        row, is_new = Provisioning.objects.get_or_create(
            connection=connection, defaults={"sign_in_by": usual_sign_in_by(connection), "created_at": at}
        )
        if is_new or not row.enabled:
            Provisioning.objects.filter(pk=row.pk).update(enabled=True)
            row.enabled = True
            tell(connection, "provisioning", "off", "on", actor, at, facts)
    return row


def switch_off(provisioning: Provisioning, *, actor: str, at: datetime, facts: RequestFacts | None = None) -> bool:
    """Nobody writes any more; whoever was kept out stays out. False if it was off."""
    with transaction.atomic():
        if not Provisioning.objects.filter(pk=provisioning.pk, enabled=True).update(enabled=False):
            return False
        tell(provisioning.connection, "provisioning", "on", "off", actor, at, facts)
    return True


def usual_sign_in_by(connection: Connection) -> SignInBy:
    return SignInBy.EXTERNAL_ID if connection.strategy in _BY_EXTERNAL_ID else SignInBy.USER_NAME


def create(
    provisioning: Provisioning,
    *,
    actor: str,
    at: datetime,
    scopes: Collection[str] = SCOPES,
    lifetime: int | None = None,
    facts: RequestFacts | None = None,
) -> NewToken:
    """`lifetime` in seconds, None: until it is removed. Raises CannotProvision."""
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise CannotProvision(f"There is no scope {unknown[0]}: {', '.join(SCOPES)}.")
    if not scopes:
        raise CannotProvision("A token without scopes may do nothing.")
    if lifetime is not None and lifetime < SHORTEST:
        raise CannotProvision(f"A token lives {SHORTEST} seconds at least.")
    token_id = f"tok_{secrets.token_hex(8)}"
    raw = f"{token_id}.{secrets.token_hex(32)}"
    with transaction.atomic():
        Provisioning.objects.select_for_update(no_key=True).filter(pk=provisioning.pk).values_list("pk").first()
        if provisioning.tokens.filter(alive(at)).count() >= MOST_TOKENS:
            raise CannotProvision(f"There are {MOST_TOKENS} tokens already. Remove one first.")
        row = ProvisioningToken.objects.create(
            provisioning=provisioning,
            token_id=token_id,
            token_hash=digest(raw),
            scopes=[scope for scope in SCOPES if scope in scopes],
            created_at=at,
            valid_until=None if lifetime is None else at + timedelta(seconds=lifetime),
        )
        tell(provisioning.connection, f"provisioning token {token_id}", "", "made", actor, at, facts)
    return NewToken(row, raw)


def remove(row: ProvisioningToken, *, actor: str, at: datetime, facts: RequestFacts | None = None) -> None:
    """Dead at once."""
    with transaction.atomic():
        row.delete()
        tell(row.provisioning.connection, f"provisioning token {row.token_id}", "in use", "removed", actor, at, facts)


def alive(at: datetime) -> Q:
    return Q(valid_until=None) | Q(valid_until__gt=at)


def find(raw: str, at: datetime) -> ProvisioningToken | None:
    """The living token, with its connection. One SELECT; the use is noted once a minute."""
    match = _TOKEN.fullmatch(raw)
    if match is None:
        return None
    row = _BY_ID.get(token_id=match[1])
    if row is None or not hmac.compare_digest(row.token_hash, digest(raw)):
        return None
    if row.valid_until is not None and row.valid_until <= at:
        return None
    if row.last_used_at is None or at - row.last_used_at > USE_IS_NOTED_AFTER:
        ProvisioningToken.objects.filter(pk=row.pk).update(last_used_at=at)
        note_use(row.provisioning, at)
    return row


def note_use(provisioning: Provisioning, at: datetime) -> None:
    if provisioning.last_request_at is None or at - provisioning.last_request_at > USE_IS_NOTED_AFTER:
        Provisioning.objects.filter(pk=provisioning.pk).update(last_request_at=at)


def tell(
    connection: Connection, what: str, before: str, after: str, actor: str, at: datetime, facts: RequestFacts | None
) -> None:
    changes = [{"what": what, "from": before, "to": after}]
    signals.connection_changed.send(Connection, connection=connection, changes=changes, actor=actor, at=at, facts=facts)
