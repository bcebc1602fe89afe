"""Sign-out by WS-Federation with SimpleSAMLphp's `adfs` module, in a browser: out of it, and in from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
import yaml
from lxml import etree
from playwright.sync_api import Page, expect

from tests.e2e.mary import DEBUGGER, is_signed_in
from tests.support.receiver import wait_until
from tests.support.stack import Stack
from tests.support.upstreams.scripted_saml import NAMES
from tests.support.upstreams.simplesaml import PASSWORD, SimpleSaml

NAME = "Fabrikam-ADFS"
REALM = "urn:fabrikam:curfew"
CLIENT_ID = "ATqGIGvsX5d9AWiOypgPOEBGkOVbrf55"  # JWT Debugger


@pytest.fixture
def adfs(stack: Stack, tmp_path: Path) -> Iterator[SimpleSaml]:
    """People sign in by SAML and out by WS-Federation, as at an ADFS server."""
    running = SimpleSaml(tmp_path / "adfs")
    running.register_wsfed(REALM, f"{stack.issuer}wsfed/{NAME}")
    metadata = requests.get(running.metadata_url, timeout=10).text
    options = {"protocol": "samlp", "fedMetadataXml": metadata, "logout": {"hint": "wsfed", "url": running.wsfed_url}}
    configure(stack, options=options, display_name="Fabrikam ADFS", enabled=True)
    root = etree.fromstring(requests.get(f"{stack.issuer}samlp/{NAME}/metadata", timeout=10).content)
    running.register(root.get("entityID"), root.find(".//md:AssertionConsumerService", NAMES).get("Location"))
    yield running
    configure(stack, enabled=False)
    running.stop()


def configure(stack: Stack, **changes: object) -> None:
    file = stack.data / "wsfed.yaml"
    file.write_text(yaml.safe_dump({"connections": [{"name": NAME, "strategy": "adfs", **changes}]}))
    stack.run("apply", str(file))


def sign_in(stack: Stack, page: Page) -> None:
    page.goto(stack.app(DEBUGGER))
    page.get_by_role("link", name="Sign in with Fabrikam").click()
    page.get_by_role("link", name="Continue with Fabrikam ADFS").click()
    page.locator("#username").fill("mary")
    page.locator("#password").fill(PASSWORD)
    page.locator("[type=submit]").first.click()
    page.wait_for_url(stack.app(DEBUGGER))
    assert is_signed_in(page)


def become_known_as_relying_party(page: Page, adfs: SimpleSaml) -> None:
    """ADFS tells those whom it gave a token by WS-Federation: we take none, but it remembers that it gave one."""
    query = urlencode({"wa": "wsignin1.0", "wtrealm": REALM})
    page.goto(f"{adfs.wsfed_url}?{query}")
    page.wait_for_url(re.compile("/wsfed/"))


@pytest.mark.both
def test_federated_sign_out_leads_over_adfs_and_back(stack: Stack, page: Page, adfs: SimpleSaml) -> None:
    sign_in(stack, page)
    page.goto(f"{stack.issuer}v2/logout?client_id={CLIENT_ID}&federated")
    page.get_by_role("link", name="Continue").click()
    page.wait_for_url(re.compile(f"^{re.escape(stack.app(DEBUGGER))}"))
    assert not is_signed_in(page)
    page.goto(f"{stack.issuer}login/upstream/{NAME}")
    expect(page.locator("#username")).to_be_visible()  # nobody is signed in there any more


def test_leaving_adfs_is_leaving_us(stack: Stack, page: Page, adfs: SimpleSaml) -> None:
    sign_in(stack, page)
    become_known_as_relying_party(page, adfs)
    page.goto(f"{adfs.wsfed_url}?wa=wsignout1.0")
    page.goto(stack.issuer)
    expect(page.get_by_text("You are not signed in on this device.")).to_be_visible()
    page.goto(stack.app(DEBUGGER))
    wait_until(lambda: page.reload() is not None and not is_signed_in(page), 10, "the application was not told")
