"""Strategy -> protocol, and the gate that every path asks before it trusts a connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from django.conf import settings
from django.urls import reverse

from idp.connections import database
from idp.connections.contract import Account, LogoutProtocol, RedirectProtocol
from idp.connections.dialects import has_own_callback
from idp.connections.ldap.protocol import LdapProtocol
from idp.connections.microsoft.adfs import AdfsLogout, AdfsProtocol
from idp.connections.oidc.flow import OidcProtocol
from idp.connections.oidc.logout import OidcLogout
from idp.connections.saml.flow import SamlProtocol
from idp.connections.saml.logout import SamlLogout
from idp.models import Application, Connection, Identity, Strategy
from idp.protocol.text import normal_forms
from idp.tenants.configuration import Memo, Snapshot

_CLIENTS = Memo[set[int]]("keys of the applications that a connection is enabled for")
_WITH_PASSWORD = Memo[list[Connection]]("connections that an application offers with a form")
_WITH_REDIRECT = Memo[list[Connection]]("connections that an application offers as a button")


class Purpose(StrEnum):
    """What a connection is to be used for."""

    SIGN_IN = "sign-in"
    PASSWORD_RESET = "password-reset"
    REVOCATION = "revocation"  # Global Token Revocation requests in its name
    LOGOUT = "logout"  # leaving it with us, and its word that somebody left it


class PasswordProtocol(Protocol):
    """A connection whose password is typed into our own form."""

    def verify(self, connection: Connection, login: str, password: str, at: datetime) -> Identity | None:
        """The identity whose password this is, active or not; None for every other outcome, in the same time.

        Raises UpstreamRefused when the directory says no to somebody whose password is right, UpstreamFault when it says nothing.
        """
        ...


class DirectoryProtocol(PasswordProtocol, Protocol):
    """One whose people are somebody else's: what it says of them can be looked at before anything is kept."""

    def prove(self, connection: Connection, login: str, password: str, at: datetime) -> Account | None:
        """The account that `verify` would make an identity of. Writes nothing; raises as `verify` does."""
        ...


_LDAP = LdapProtocol()
DIRECTORY_PROTOCOLS: Mapping[str, DirectoryProtocol] = {Strategy.ACTIVE_DIRECTORY: _LDAP}
# A strategy that is in neither of them cannot sign anybody in: its connections are not offered.
PASSWORD_PROTOCOLS: Mapping[str, PasswordProtocol] = {
    Strategy.DATABASE: database.DatabaseProtocol(),
    **DIRECTORY_PROTOCOLS,
}
_OIDC = OidcProtocol()
REDIRECT_PROTOCOLS: Mapping[str, RedirectProtocol] = {
    Strategy.OIDC: _OIDC,
    Strategy.OKTA: _OIDC,
    Strategy.GOOGLE: _OIDC,
    Strategy.ENTRA: _OIDC,
    Strategy.ADFS: AdfsProtocol(),
    Strategy.SAML: SamlProtocol(),
}
LOGOUT_PROTOCOLS: Mapping[str, LogoutProtocol] = {
    Strategy.OIDC: OidcLogout(),
    Strategy.OKTA: OidcLogout(),
    Strategy.GOOGLE: OidcLogout(),
    Strategy.ENTRA: OidcLogout(),
    Strategy.ADFS: AdfsLogout(),
    Strategy.SAML: SamlLogout(),
}


def usable_for(
    connection: Connection, purpose: Purpose, application: Application | None = None, snapshot: Snapshot | None = None
) -> bool:
    """Whether the connection may do this now, for this application (None: for ourselves, e.g. the admin).

    A disabled connection may do nothing: its sessions ended when it was closed. Only sign-in depends on the application.
    With a snapshot, the list of its applications is read once per configuration.
    """
    if not connection.enabled:
        return False
    if purpose is Purpose.PASSWORD_RESET:
        return connection.strategy == Strategy.DATABASE
    if purpose is Purpose.REVOCATION:
        return connection.strategy in REDIRECT_PROTOCOLS
    if purpose is Purpose.LOGOUT:
        return connection.strategy in LOGOUT_PROTOCOLS
    if application is None or connection.enabled_for_all:
        return True
    return application.pk in _enabled_clients(connection, snapshot)


def _enabled_clients(connection: Connection, snapshot: Snapshot | None) -> set[int]:
    def load() -> set[int]:
        return set(connection.enabled_clients.values_list("pk", flat=True))

    return snapshot.derived(_CLIENTS, load, connection.pk) if snapshot else load()


def password_connections(snapshot: Snapshot, application: Application | None) -> list[Connection]:
    """Connections that the login page offers with a password form, for this application; remembered per configuration."""
    return snapshot.derived(
        _WITH_PASSWORD,
        lambda: _offered(PASSWORD_PROTOCOLS, snapshot, application),
        application.pk if application else None,
    )


def redirect_connections(snapshot: Snapshot, application: Application | None) -> list[Connection]:
    """Connections that the login page offers as a button, for this application; remembered per configuration."""
    return snapshot.derived(
        _WITH_REDIRECT,
        lambda: _offered(REDIRECT_PROTOCOLS, snapshot, application),
        application.pk if application else None,
    )


def _offered(strategies: Iterable[str], snapshot: Snapshot, application: Application | None) -> list[Connection]:
    rows = Connection.objects.filter(enabled=True, strategy__in=strategies)
    return [row for row in rows if usable_for(row, Purpose.SIGN_IN, application, snapshot)]


def callback_url(connection: Connection) -> str:
    """Where the upstream's answers come to: one address for OpenID Connect, one per connection for SAML (its ACS)."""
    own = has_own_callback(connection.strategy, connection.options)
    path = reverse("login_own_callback", args=[connection.name]) if own else reverse("login_callback")
    return f"{settings.ISSUER_ORIGIN}{path}"


def for_address(connections: list[Connection], address: str) -> Connection | None:
    """Home-realm discovery: the connection that claims the domain of this e-mail address."""
    domain = domain_of(address)
    return next((row for row in connections if domain and domain in domains(row)), None)


def domain_of(address: str) -> str:
    """The domain of an e-mail address as domains of connections are compared with it; all of what has no @."""
    return normal_forms.name(address).rpartition("@")[2]


def domains(connection: Connection) -> set[str]:
    """The domains of e-mail addresses whose people belong to this connection."""
    return domains_of(connection.options)


def domains_of(options: Mapping[str, Any]) -> set[str]:
    aliases = options.get("domain_aliases") or []
    return {normal_forms.name(str(alias)) for alias in aliases} if isinstance(aliases, list) else set()
