"""From a verified account upstream to a person of ours: created when first seen, refreshed each time, never linked by e-mail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from idp.connections import email_trust
from idp.connections.contract import Account, UpstreamFault
from idp.directory import memberships
from idp.models import Connection, Identity, User
from idp.protocol.standard_scopes import CLAIMS
from idp.protocol.text import normal_forms
from idp.scim import arrivals

LONGEST_ID = 255  # User.user_id, Identity.sub
LONGEST_EMAIL = 254
UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")
LONGEST_TEXT = 1000  # of a claim that has no column of its own
COLUMNS = ("name", "given_name", "family_name", "nickname", "picture", "phone_number")
OTHER_TEXTS = tuple(name for name in CLAIMS["profile"] if name not in (*COLUMNS, "updated_at"))


def receive(connection: Connection, account: Account, *, at: datetime) -> Identity:
    """The identity (connection, sub) with its person and groups, all as fresh as the account; the person may be blocked.

    Two first sign-ins at once make one person. Raises UpstreamFault for a `sub` that cannot be kept.
    """
    identity = _as_fresh(connection, account, _user_id(connection, account), at)
    memberships.receive(identity, account.profile.get("groups"), at=at)
    return identity


@dataclass(frozen=True, slots=True)
class ExpectedPerson:
    """Whom a sign-in would be of, and what it would write of them. `user`: the person who has this account already."""

    user_id: str
    user: User | None
    email: str
    email_verified: bool
    name: str
    profile: Mapping[str, Any]


def expected(connection: Connection, account: Account) -> ExpectedPerson:
    """What `receive` would make of the account. Writes nothing; raises UpstreamFault for a `sub` that cannot be kept."""
    user_id, identity, person = (
        _user_id(connection, account),
        _find(connection, account.sub),
        _person(connection, account),
    )
    return ExpectedPerson(
        identity.user.user_id if identity else user_id,
        identity.user if identity else None,
        person["email"],
        person["email_verified"],
        person["name"],
        _storable(account.profile),
    )


def _user_id(connection: Connection, account: Account) -> str:
    user_id = connection.user_id_of(account.sub)
    if not account.sub or len(user_id) > LONGEST_ID or not account.sub.isprintable():
        raise UpstreamFault(f"{connection.name} gave a user id that is empty, too long or not printable")
    return user_id


def _as_fresh(connection: Connection, account: Account, user_id: str, at: datetime) -> Identity:
    identity = _find(connection, account.sub) or arrivals.claim(connection, account)
    if identity is None:
        try:
            return _create(connection, account, user_id, at)
        except IntegrityError:  # somebody else's first sign-in, at the same moment
            identity = _find(connection, account.sub)
            if identity is None and User.objects.filter(user_id=user_id).exists():
                raise UpstreamFault(
                    f"{connection.name} gave the user id of somebody who signs in by another one"
                ) from None
            if identity is None:
                raise
    _refresh(identity, account, user_id, at)
    return identity


def _find(connection: Connection, sub: str) -> Identity | None:
    identity = Identity.objects.select_related("user", "provisioned").filter(connection=connection, sub=sub).first()
    if identity is not None:
        identity.connection = connection
    return identity


def _create(connection: Connection, account: Account, user_id: str, at: datetime) -> Identity:
    # A person without identity: the account was linked to somebody who is gone.
    user = User.objects.filter(user_id=user_id, identities=None).first() or User(
        user_id=user_id, created_at=at, **_person(connection, account)
    )
    with transaction.atomic():
        if user._state.adding:
            user.set_unusable_password()
            user.save(force_insert=True)
        identity = Identity(
            user=user,
            connection=connection,
            sub=account.sub,
            email=_email(account),
            profile=_storable(account.profile),
            created_at=at,
        )
        identity.save(force_insert=True)
    return identity


def _refresh(identity: Identity, account: Account, user_id: str, at: datetime) -> None:
    """Write what changed. A linked identity is not its person's main one: it keeps its own profile only."""
    if is_provisioned(identity):
        _write(identity, {"profile": _storable(account.profile)})
        _believe_address(identity, account, at)
        return
    _write(identity, {"email": _email(account), "profile": _storable(account.profile)})
    if identity.user.user_id == user_id:
        _write(identity.user, _person(identity.connection, account), updated_at=at)


def is_provisioned(identity: Identity) -> bool:
    """What the source wrote of the person stands, whatever a sign-in says."""
    return hasattr(identity, "provisioned")


def _believe_address(identity: Identity, account: Account, at: datetime) -> None:
    """A sign-in may say of the address that the source wrote that it is the person's own."""
    user = identity.user
    if _email(account) == normal_forms.name(user.email) == identity.email and _is_verified(
        identity.connection, account
    ):
        _write(user, {"email_verified": True}, updated_at=at)


def _write(row: Identity | User, values: dict[str, Any], **stamps: Any) -> None:
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    if changed:
        type(row)._default_manager.filter(pk=row.pk).update(**changed, **stamps)
        for name, value in changed.items():
            setattr(row, name, value)


def _is_verified(connection: Connection, account: Account) -> bool:
    """By the word of the upstream; of one that says nothing, by the administrator's (`email_is_verified`), who knows where addresses
    there come from."""
    trusted = connection.options.get(email_trust.OPTION) is True
    return account.email_verified or (trusted and bool(account.email) and not account.email_denied)


def _person(connection: Connection, account: Account) -> dict[str, Any]:
    """The columns of a User; text that does not fit is cut, a picture that is no usable address is left out."""
    values: dict[str, Any] = {
        "email": _email(account, lower=False),
        "email_verified": _is_verified(connection, account),
    }
    for name in COLUMNS:
        text = account.profile.get(name)
        field = User._meta.get_field(name)
        values[name] = _storable(text)[: field.max_length] if isinstance(text, str) else ""  # type: ignore[union-attr]
    if not values["picture"].startswith("https://"):
        values["picture"] = ""
    return values | {"claims": _other_claims(account)}


def _other_claims(account: Account) -> dict[str, Any]:
    """Further standard claims that the account has, in their types (OpenID Connect Core section 5.1)."""
    texts = {name: account.profile.get(name) for name in OTHER_TEXTS}
    found = {name: _storable(text)[:LONGEST_TEXT] for name, text in texts.items() if isinstance(text, str) and text}
    address = account.profile.get("address")
    return found | ({"address": _storable(address)} if isinstance(address, Mapping) and address else {})


def _email(account: Account, *, lower: bool = True) -> str:
    compared = normal_forms.name(account.email)
    fits = max(len(account.email), len(compared)) <= LONGEST_EMAIL and account.email.isprintable()
    return (compared if lower else account.email) if fits else ""


def _storable(value: Any) -> Any:
    """Without NUL and lone surrogates, which PostgreSQL keeps neither in text nor in JSON."""
    if isinstance(value, str):
        return UNSTORABLE.sub("", value)
    if isinstance(value, Mapping):
        return {_storable(str(name)): _storable(item) for name, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list | tuple) else value
