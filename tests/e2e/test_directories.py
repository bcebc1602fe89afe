"""Mary signs in to a demo application with the password of a directory: Active Directory, and plain LDAP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from playwright.sync_api import Page, expect

from tests.e2e.mary import DEBUGGER, MARY, click_sign_out, is_signed_in
from tests.support.stack import Stack
from tests.support.upstreams import samba, slapd


@pytest.fixture(params=["Active Directory", pytest.param("OpenLDAP", marks=pytest.mark.both)])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[dict[str, Any], str, str]]:
    """The options of a connection, and a name and a password that are good there."""
    server: samba.Samba | slapd.Slapd
    if request.param == "OpenLDAP":
        server = slapd.Slapd(tmp_path / "slapd")
        login, password = "mary", slapd.PASSWORD
        account = {"bind_dn": slapd.ADMIN, "bind_password": slapd.ADMIN_PASSWORD, "base_dn": slapd.SUFFIX}
    else:
        server = samba.Samba(tmp_path / "samba")
        login, password = f"{samba.DOMAIN}\\mary", samba.PASSWORD
        account = {
            "bind_dn": samba.ADMINISTRATOR,
            "bind_password": samba.ADMINISTRATOR_PASSWORD,
            "base_dn": samba.SUFFIX,
        }
    yield {"servers": [server.ldaps], "ca_certificate": server.ca, **account}, login, password
    server.stop()


@pytest.fixture
def connection(stack: Stack, directory: tuple[dict[str, Any], str, str]) -> Iterator[str]:
    """A connection of the demo to the directory; closed afterwards."""
    options, _, _ = directory
    entry = {"name": "Corporate", "strategy": "ad", "options": options}
    file = stack.data / "directory.yaml"
    file.write_text(yaml.safe_dump({"connections": [{**entry, "enabled": True}]}))
    stack.run("apply", str(file))
    yield "Corporate"
    file.write_text(yaml.safe_dump({"connections": [{**entry, "enabled": False}]}))
    stack.run("apply", str(file))


def test_mary_signs_in_with_the_password_of_a_directory(
    stack: Stack, page: Page, directory: tuple[dict[str, Any], str, str], connection: str
) -> None:
    _, login, password = directory
    page.goto(stack.app(DEBUGGER))
    page.get_by_role("link", name="Sign in with Fabrikam").click()
    page.locator("[name=username]").fill(login)
    page.locator("[name=password]").fill("a wrong one")
    page.locator("[name=connection]").select_option(connection)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("is wrong")).to_be_visible()

    page.locator("[name=password]").fill(password)
    page.locator("[name=connection]").select_option(connection)
    page.get_by_role("button", name="Sign in", exact=True).click()

    page.wait_for_url(stack.app(DEBUGGER))
    expect(page.get_by_text(MARY).first).to_be_visible()
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(stack.issuer)}
    data = requests.get(f"{stack.issuer}user/ssodata", cookies=cookies, timeout=5).json()
    assert data["lastUsedUsername"] == MARY
    assert data["lastUsedConnection"] == {"name": "Corporate", "strategy": "ad"}
    click_sign_out(page)
    page.wait_for_url(re.compile(r"/logout/"), wait_until="commit")
    page.goto(stack.app(DEBUGGER))
    assert not is_signed_in(page)
