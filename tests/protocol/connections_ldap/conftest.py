"""Real directories, each started once for all tests of this folder, and connections to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from idp.connections.ldap import directory
from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from idp.models import Connection
from tests.support.upstreams import samba, slapd


@pytest.fixture(autouse=True)
def _loopback_directories(settings: Any) -> None:
    """Directories live on loopback here; what one test broke is forgotten before the next."""
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]
    directory._cool_downs = directory._CoolDowns()


@pytest.fixture(scope="session")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[samba.Samba]:
    controller = samba.Samba(tmp_path_factory.mktemp("samba") / "s")
    yield controller
    controller.stop()


@pytest.fixture(scope="session")
def openldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slapd.Slapd]:
    server = slapd.Slapd(tmp_path_factory.mktemp("slapd") / "s")
    yield server
    server.stop()


@pytest.fixture
def fabrikam(db: None, domain: samba.Samba) -> Connection:
    """The seed's FabrikamAD, an Active Directory."""
    return connect(
        "FabrikamAD",
        samba.ADMINISTRATOR_PASSWORD,
        servers=[domain.ldaps],
        ca_certificate=domain.ca,
        base_dn=samba.SUFFIX,
        bind_dn=samba.ADMINISTRATOR,
    )


@pytest.fixture
def plain(db: None, openldap: slapd.Slapd) -> Connection:
    """A plain LDAP directory."""
    return connect(
        "PlainLDAP",
        slapd.ADMIN_PASSWORD,
        servers=[openldap.ldaps],
        ca_certificate=openldap.ca,
        base_dn=slapd.SUFFIX,
        bind_dn=slapd.ADMIN,
    )


def connect(name: str, password: str = "", **options: Any) -> Connection:
    sealed = {"bind_password": seal(password, secret_context(name, "bind_password"))} if password else {}
    return Connection.objects.create(name=name, strategy="ad", options=options, sealed_options=sealed)


def change(connection: Connection, **options: Any) -> None:
    connection.options = {**connection.options, **options}
    connection.save()
