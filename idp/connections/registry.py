"""Strategy -> protocol, and the gate that every path asks before it trusts a connection."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from idp.configuration import Snapshot
from idp.connections import database
from idp.models import Application, Connection, Identity, Strategy


class Purpose(StrEnum):
    """What a connection is to be used for."""

    SIGN_IN = "sign-in"
    PASSWORD_RESET = "password-reset"


class PasswordProtocol(Protocol):
    """A connection whose password is typed into our own form."""

    def verify(self, connection: Connection, login: str, password: str) -> Identity | None:
        """The identity whose password this is, active or not; None for every other outcome, in the same time."""
        ...


# A strategy that is missing here cannot sign anybody in: its connections are not offered.
PASSWORD_PROTOCOLS: Mapping[str, PasswordProtocol] = {Strategy.DATABASE: database.DatabaseProtocol()}


def usable_for(connection: Connection, purpose: Purpose, application: Application | None = None) -> bool:
    """Whether the connection may do this now, for this application (None: for ourselves, e.g. the admin).

    A disabled connection may do nothing: its sessions ended when it was closed. Only sign-in depends on the application.
    """
    if not connection.enabled:
        return False
    if purpose is Purpose.PASSWORD_RESET:
        return connection.strategy == Strategy.DATABASE
    if application is None or connection.enabled_for_all:
        return True
    return connection.enabled_clients.filter(pk=application.pk).exists()


def password_connections(snapshot: Snapshot, application: Application | None) -> list[Connection]:
    """Connections that the login page offers with a password form, for this application; remembered per configuration."""
    memo = f"password connections of {application.pk if application else None}"
    if memo not in snapshot.memo:
        rows = Connection.objects.filter(enabled=True, strategy__in=PASSWORD_PROTOCOLS)
        snapshot.memo[memo] = [row for row in rows if usable_for(row, Purpose.SIGN_IN, application)]
    connections: list[Connection] = snapshot.memo[memo]
    return connections


def for_address(connections: list[Connection], address: str) -> Connection | None:
    """Home-realm discovery: the connection that claims the domain of this e-mail address."""
    domain = address.rpartition("@")[2].lower()
    return next((row for row in connections if domain and domain in _domains(row)), None)


def _domains(connection: Connection) -> set[str]:
    aliases = connection.options.get("domain_aliases") or []
    return {str(alias).lower() for alias in aliases} if isinstance(aliases, list) else set()
