"""Database connections: people whose passwords we keep."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_variables

from idp.database.lookups import Given, Lookup
from idp.models import Connection, Identity
from idp.protocol.errors import TemporarilyUnavailable
from idp.protocol.text import normal_forms

LONGEST_LOGIN = 255  # Identity.login
LONGEST_PASSWORD = 512  # ASVS 6.2.9 asks for at least 64; more than this is an attack on the hasher

# argon2 needs a core and 19 MiB for each password: more at once than there are cores makes everybody slower.
_hashing = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))
PATIENCE = 5.0  # seconds


_BY_LOGIN = Lookup(
    lambda: Identity.objects.filter(connection=Given("connection"), login=Given("login")).select_related("user")
)


class DatabaseProtocol:
    @sensitive_variables("password")
    def verify(self, connection: Connection, login: str, password: str, at: datetime) -> Identity | None:
        """The identity whose password this is, blocked person or not.

        An unknown login and one without a password cost the same statement and the same hashes as a wrong password.
        Raises TemporarilyUnavailable when too many passwords are being checked.
        """
        if is_malformed(login, LONGEST_LOGIN) or is_malformed(password, LONGEST_PASSWORD):
            return None
        identity = _find(connection, login.strip())
        with hashing_slot():
            if identity is None or not identity.user.has_usable_password():
                for spelling in normal_forms.password_spellings(password):
                    check_password(spelling, _dummy(settings.PASSWORD_HASHERS[0]))
                return None
            matches = identity.user.check_password(password)
        identity.connection = connection
        return identity if matches else None


def requires_username(connection: Connection) -> bool:
    """Whether people have a user name, without `@`, beside their address. They may type either of them."""
    return connection.options.get("requires_username") is True


def _find(connection: Connection, typed: str) -> Identity | None:
    """One statement, or two for a name with letters beyond ASCII in a form that is not ours."""
    name = normal_forms.name(typed)
    if requires_username(connection) and "@" in name:
        return _by_address(connection, name)
    return by_login(connection, typed)


def by_login(connection: Connection, typed: str) -> Identity | None:
    """Whom this name signs in. Two people whose names differed in their form only, from before there was one form, kept
    their names: each is found by the exact one.
    """
    name, before = normal_forms.name(typed), normal_forms.ascii_lower(typed)
    exactly = _BY_LOGIN.get(connection=connection.pk, login=before) if before != name else None
    return exactly or _BY_LOGIN.get(connection=connection.pk, login=name)


def _by_address(connection: Connection, address: str) -> Identity | None:
    """The account whose verified address it is, else the only one that has it. Of two that are alike neither is meant."""
    accounts = Identity.objects.filter(connection=connection, email=address).select_related("user")
    first, second = (*accounts.order_by("-user__email_verified")[:2], None, None)[:2]
    if first is None or second is None:
        return first
    return first if first.user.email_verified and not second.user.email_verified else None


def is_malformed(text: str, longest: int) -> bool:
    """Text that must reach neither the hasher nor PostgreSQL: too long, NUL, or a lone surrogate."""
    return len(text) > longest or "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


@contextmanager
def hashing_slot() -> Iterator[None]:
    if not _hashing.acquire(timeout=PATIENCE):
        raise TemporarilyUnavailable(
            gettext_noop("Too many people are signing in right now. Please try again in a moment.")
        )
    try:
        yield
    finally:
        _hashing.release()


@functools.cache
def _dummy(hasher: str) -> str:
    """A hash of nobody's password, as costly as the current hasher's."""
    return make_password("nobody has this password")
