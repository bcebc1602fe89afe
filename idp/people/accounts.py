"""Acts on a person or a connection that must be heard above: each is one transaction with its signal (`idp/signals.py`).

`actor` is who did it: `user`, `admin:{user_id}`, `app:{client_id}`, `system`. An act that changes nothing sends nothing.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from idp import signals
from idp.connections.database import hashing_slot
from idp.models import Connection, Identity, PasswordChange, Strategy, User
from idp.people import passwords
from idp.protocol.opaque import new_secret
from idp.protocol.text import normal_forms
from idp.protocol.text.normal_forms import ascii_lower
from idp.tenants import configuration


class CannotLink(Exception):
    """A sentence that says why an account cannot be linked."""


class EmailTaken(Exception):
    """Another account of the same database connection signs in with this address."""


def block_user(user: User, *, actor: str, at: datetime) -> bool:
    """Block a person: every session and token of theirs is dead. False if they were blocked already."""
    with transaction.atomic():
        if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False, updated_at=at):
            return False
        user.is_active = False
        signals.user_blocked.send(User, user=user, actor=actor, at=at)
    return True


def unblock_user(user: User, *, actor: str, at: datetime) -> bool:
    """Let a person sign in again; what died stays dead. False if they were not blocked."""
    user.is_active = True
    with transaction.atomic():
        if not User.objects.filter(pk=user.pk, is_active=False).update(is_active=True, updated_at=at):
            return False
        signals.user_unblocked.send(User, user=user, actor=actor, at=at)
    return True


def delete_user(user: User, *, actor: str, at: datetime) -> dict[str, int]:
    """Delete a person; how many rows went with them, by model. The signal comes first: receivers still find sessions, identities
    and applications."""
    with transaction.atomic():
        User.objects.select_for_update().filter(pk=user.pk).first()
        signals.user_deleted.send(User, user=user, actor=actor, at=at)
        gone = user.delete()[1]
    return {label: count for label, count in gone.items() if label != User._meta.label}


def change_email(user: User, email: str, *, verified: bool, actor: str, at: datetime, restores: bool = False) -> bool:
    """Change the address, and the sign-in name of database identities that was the old one. False if it is the same.

    `restores`: it is the address of before, which its owner has back.

    Raises EmailTaken if another account of the connection signs in with the new address.
    """
    old, was_verified = user.email, user.email_verified
    with transaction.atomic():
        changed = (
            User.objects.filter(pk=user.pk)
            .exclude(email=email)
            .update(email=email, email_verified=verified, updated_at=at)
        )
        if not changed:
            return False
        _rename_logins(user, old, email)
        user.email, user.email_verified = email, verified
        said = {"old": old, "was_verified": was_verified, "actor": actor, "at": at, "restores": restores}
        signals.email_changed.send(User, user=user, **said)
    return True


def set_password(user: User, password: str, *, actor: str) -> None:
    """Give a person a new password; `User.save()` announces it."""
    user.set_password(password)
    user.acting = actor
    user.save(update_fields=["password", "updated_at"])


def drop_password(user: User, why: PasswordChange, *, actor: str, at: datetime) -> bool:
    """Put one in its place that nobody knows: a link of a mail still gives them another. False: there is none of ours.

    Raises TemporarilyUnavailable when too many passwords are being hashed.
    """
    if not user.has_usable_password():
        return False
    with hashing_slot():
        nobodys = passwords.hashed(new_secret())
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(password=nobodys, updated_at=at)
        user.password = nobodys
        signals.password_changed.send(User, user=user, actor=actor, at=at, why=why)
    return True


def address_proved(user: User, *, actor: str, at: datetime) -> bool:
    """By a mail that signs its reader in, somebody shows for the first time that the address is theirs. False: it was known.

    Whoever had the account before may have been somebody else, who made it in this person's name: their password is nobody's
    from now on, and what they signed in with is dead.
    """
    with transaction.atomic():
        unproved = User.objects.filter(pk=user.pk, email=user.email, email_verified=False)
        if not unproved.update(email_verified=True, updated_at=at):
            return False
        user.refresh_from_db(fields=["password", "email_verified"])
        drop_password(user, PasswordChange.ADDRESS_PROVED, actor=actor, at=at)
        signals.address_proved.send(User, user=user, actor=actor, at=at)
    return True


def disable_connection(connection: Connection, *, actor: str, at: datetime) -> bool:
    """Close a connection: nobody signs in through it, and its sessions end. False if it was closed already."""
    with transaction.atomic():
        if not Connection.objects.filter(pk=connection.pk, enabled=True).update(enabled=False, updated_at=at):
            return False
        configuration.bump()
        connection.enabled = False
        signals.connection_disabled.send(Connection, connection=connection, actor=actor, at=at)
        _tell_switch(connection, "on", "off", actor, at)
    return True


def enable_connection(connection: Connection, *, actor: str, at: datetime) -> bool:
    """Open a connection again. False if it was open already."""
    with transaction.atomic():
        if not Connection.objects.filter(pk=connection.pk, enabled=False).update(enabled=True, updated_at=at):
            return False
        configuration.bump()
        connection.enabled = True
        _tell_switch(connection, "off", "on", actor, at)
    return True


def _tell_switch(connection: Connection, before: str, after: str, actor: str, at: datetime) -> None:
    changes = [{"what": "enabled", "from": before, "to": after}]
    signals.connection_changed.send(Connection, connection=connection, changes=changes, actor=actor, at=at, facts=None)


def link_identity(identity: Identity, user: User, *, actor: str, at: datetime) -> bool:
    """Let an account sign in another person: its sessions end. False if it signs in that person already.

    The person whose it was stays, without this way to sign in; `unlink_identity` gives it back. Raises CannotLink.
    """
    if identity.connection.strategy == Strategy.DATABASE:
        raise CannotLink("An account of a database cannot be linked: its password is its person's own.")
    return _move(identity, user, actor, at)


def unlink_identity(identity: Identity, *, actor: str, at: datetime) -> bool:
    """Give an account back to the person that it had before; one is made if they are gone. False if it is not linked."""
    with transaction.atomic():
        own, _ = User.objects.get_or_create(
            user_id=identity.own_user_id,
            defaults={"email": identity.email, "password": make_password(None), "created_at": at},
        )
        return _move(identity, own, actor, at)


def _move(identity: Identity, user: User, actor: str, at: datetime) -> bool:
    with transaction.atomic():
        former = Identity.objects.select_for_update(of=("self",)).select_related("user").get(pk=identity.pk).user
        if former == user:
            return False
        if not former.is_active:
            raise CannotLink(f"{former} is blocked, and would come in as somebody else.")
        # First the signal: what began through the account is found as long as it is its former person's.
        signals.identity_moved.send(Identity, user=former, identity=identity, actor=actor, at=at)
        Identity.objects.filter(pk=identity.pk).update(user=user)
        identity.user = user
    return True


def with_address(address: str) -> QuerySet[User]:
    """People who have this address, here or at a connection, verified or not."""
    at_a_connection = Identity.objects.filter(email=normal_forms.name(address)).values("user")
    here = Q()
    for spelling in normal_forms.spellings(address):
        here |= Q(email__iexact=spelling)
    return User.objects.filter(here | Q(pk__in=at_a_connection)).order_by("pk")


def _rename_logins(user: User, old: str, new: str) -> None:
    mine = Identity.objects.filter(user=user, connection__strategy=Strategy.DATABASE)
    spellings, name = {normal_forms.name(old), ascii_lower(old)}, normal_forms.name(new)
    try:
        with transaction.atomic():
            mine.filter(login__in=spellings).update(login=name, email=name)
            # Also where people sign in by a user name: reset links must not go to the old mailbox any more.
            mine.filter(email__in=spellings).update(email=name)
    except IntegrityError:
        raise EmailTaken(f"{new} is the sign-in name of another account.") from None
