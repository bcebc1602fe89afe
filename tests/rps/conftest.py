"""One Curfew and one browser for all relying parties; a fresh browser context for each test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from playwright.sync_api import Browser, Page

from tests.rps.quickstarts import NAMES, Place
from tests.rps.running import CLIENT_SECRET, curfew, page_application, tenant_of, web_application
from tests.rps.saml import providers
from tests.support.chromium import chromium, new_page
from tests.support.processes import free_port

NEWCOMER = "newcomer@fabrikamcorp.com"  # an address that nobody verified


@dataclass(frozen=True, slots=True)
class World:
    """A running Curfew; `ports` are where the applications (by client id) are registered to live, `environment` is its own."""

    issuer: str
    folder: Path
    ports: dict[str, int]
    quickstarts: dict[str, Place]
    environment: dict[str, str]
    authority: trustme.CA  # of the certificates that Curfew trusts

    def url(self, name: str) -> str:
        return f"http://localhost:{self.ports[name]}"

    def env(self, name: str) -> dict[str, str]:
        """What every application needs to know."""
        return {
            "PORT": str(self.ports[name]),
            "ISSUER": self.issuer,
            "CLIENT_ID": name,
            "CLIENT_SECRET": CLIENT_SECRET,
        }


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    ports = {
        name: free_port()
        for name in (
            *("express", "bounded", "unbounded", "mozilla", "apache-front", "apache-back", "oidc-client-ts"),
            *("proxy-staff", "proxy-admins"),
            *providers.HOSTS,
        )
    }
    at = {name: f"http://localhost:{port}" for name, port in ports.items()}
    callback = "/private/callback"
    clients = (
        # Its default store keys on sub as well as sid: a token with both would end the session in every browser.
        web_application(
            "express",
            at["express"],
            "/callback",
            oidc_logout={
                "backchannel_logout_urls": [f"{at['express']}/backchannel-logout"],
                "backchannel_logout_include_sub": False,
            },
        ),
        web_application("bounded", at["bounded"], "/callback"),
        web_application("unbounded", at["unbounded"], "/callback", session_expiry=False),
        web_application("mozilla", at["mozilla"], "/oidc/callback/"),
        web_application(
            "apache-front",
            at["apache-front"],
            callback,
            oidc_logout={
                "frontchannel_logout_uri": f"{at['apache-front']}{callback}?logout=get",
                "frontchannel_logout_session_required": True,
            },
        ),
        web_application(
            "apache-back",
            at["apache-back"],
            callback,
            oidc_logout={"backchannel_logout_urls": [f"{at['apache-back']}{callback}?logout=backchannel"]},
        ),
        page_application("oidc-client-ts", at["oidc-client-ts"], "/"),
        web_application("proxy-staff", at["proxy-staff"], "/oauth2/callback"),
        web_application("proxy-admins", at["proxy-admins"], "/oauth2/callback"),
        *providers.clients(ports),
    )
    folder, authority = tmp_path_factory.mktemp("world"), trustme.CA()
    authority.cert_pem.write_to_path(str(trusted := folder / providers.AUTHORITY))
    places = {name: Place(name, folder) for name in NAMES}
    tenant = tenant_of(*clients, *(place.client for place in places.values()))
    mary = tenant["users"][0]
    newcomer = {**mary, "email": NEWCOMER, "email_verified": False}
    tenant["users"] = [{**person, "groups": ["everyone", "staff"]} for person in (mary, newcomer)]
    environment: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (pair for place in places.values() for pair in place.secret.items()):
            patch.setenv(name, value)
        with curfew(folder, tenant, then=environment.update, SSL_CERT_FILE=str(trusted)) as issuer:
            yield World(issuer, folder, ports, places, environment, authority)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with new_page(browser) as opened:
        yield opened
