"""Acts on a person or a connection that must be heard above: each is one transaction with its signal (`idp/signals.py`).

`actor` is who did it: `user`, `admin:{user_id}`, `app:{client_id}`, `system`. An act that changes nothing sends nothing.
"""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from idp import configuration, signals
from idp.models import Connection, Identity, Strategy, User


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


def unblock_user(user: User, *, at: datetime) -> bool:
    """Let a person sign in again; what died stays dead. False if they were not blocked."""
    user.is_active = True
    return bool(User.objects.filter(pk=user.pk, is_active=False).update(is_active=True, updated_at=at))


def delete_user(user: User, *, actor: str, at: datetime) -> None:
    """Delete a person. The signal comes first: receivers still find sessions, identities and applications."""
    with transaction.atomic():
        User.objects.select_for_update().filter(pk=user.pk).first()
        signals.user_deleted.send(User, user=user, actor=actor, at=at)
        user.delete()


def change_email(user: User, email: str, *, verified: bool, actor: str, at: datetime) -> bool:
    """Change the address, and the sign-in name of database identities that was the old one. False if it is the same.

    Raises EmailTaken if another account of the connection signs in with the new address.
    """
    old = user.email
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
        signals.email_changed.send(User, user=user, actor=actor, at=at)
    return True


def set_password(user: User, password: str, *, actor: str) -> None:
    """Give a person a new password; `User.save()` announces it."""
    user.set_password(password)
    user.acting = actor
    user.save(update_fields=["password", "updated_at"])


def disable_connection(connection: Connection, *, actor: str, at: datetime) -> bool:
    """Close a connection: nobody signs in through it, and its sessions end. False if it was closed already."""
    with transaction.atomic():
        if not Connection.objects.filter(pk=connection.pk, enabled=True).update(enabled=False, updated_at=at):
            return False
        configuration.bump()
        connection.enabled = False
        signals.connection_disabled.send(Connection, connection=connection, actor=actor, at=at)
    return True


def ascii_lower(text: str) -> str:
    """Lower case of A to Z only: Unicode's rules would make one login of two different ones (the Kelvin sign and k)."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def _rename_logins(user: User, old: str, new: str) -> None:
    mine = Identity.objects.filter(user=user, connection__strategy=Strategy.DATABASE)
    spellings = {old.lower(), ascii_lower(old)}
    try:
        with transaction.atomic():
            mine.filter(login__in=spellings).update(login=ascii_lower(new), email=ascii_lower(new))
            # Also where people sign in by a user name: reset links must not go to the old mailbox any more.
            mine.filter(email__in=spellings).update(email=ascii_lower(new))
    except IntegrityError:
        raise EmailTaken(f"{new} is the sign-in name of another account.") from None
