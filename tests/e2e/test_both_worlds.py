"""OpenID Connect and SAML in one session, and one application of it dead: sign-out begun on each side, in a real browser.

JWT Debugger and Timesheet SaaS speak OpenID Connect, SharePoint SAML with SOAP, and the wiki SAML by the browser only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import yaml
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from playwright.sync_api import Page, expect

from idp.operations import demo
from tests.e2e import mary
from tests.support.stack import Stack, free_ports

WIKI, CLIENT_ID = "Fabrikam Wiki", "wiki0client0id00000000000000000a"
SIGNED_OUT = {"JWT Debugger": "delivered", "SharePoint Intranet": "delivered", WIKI: "delivered"}


@pytest.fixture(scope="module")
def wiki(stack: Stack) -> Iterator[str]:
    """The demo's SAML application once more, without SOAP."""
    keys, address = demo._key_pair(), f"http://localhost:{(port := free_ports(1))}/"
    credentials = {demo.SAML_KEY: keys[demo.SAML_KEY], demo.SAML_CERTIFICATE: keys[demo.SAML_CERTIFICATE]}
    client = demo._saml_client(address, WIKI, CLIENT_ID, credentials)
    del client["addons"]["samlp"]["logout"]["soap"]
    register(stack, client)
    stack.environment |= {
        "DEMO_APP": "sharepoint",
        "DEMO_PORT": str(port),
        "DEMO_ISSUER": stack.issuer,
        "DEMO_CLIENT_ID": CLIENT_ID,
        "DEMO_SAML_KEY": keys[demo.SAML_KEY],
        "DEMO_SAML_CERTIFICATE": keys[demo.SAML_CERTIFICATE],
    }
    stack.start("wiki", [sys.executable, "-m", "examples.demo_app.saml_app"])
    stack.wait_for(f"{address}ping")
    yield address
    stack.stop("wiki")
    register(stack, {"client_id": CLIENT_ID, "name": WIKI, "enabled": False})


def register(stack: Stack, client: dict[str, object]) -> None:
    file = stack.data / "wiki.yaml"
    file.write_text(yaml.safe_dump({"clients": [client]}))
    stack.run("apply", str(file))


@pytest.fixture(autouse=True)
def _all_are_good(stack: Stack, wiki: str) -> Iterator[None]:
    yield
    mary.misbehave(stack, mary.TIMESHEET, "good")
    misbehave(wiki, "good")


def misbehave(address: str, mode: str) -> None:
    requests.post(f"{address}trouble", data={"mode": mode}, timeout=20).raise_for_status()


def use_all_four(page: Page, stack: Stack, wiki: str) -> None:
    mary.use_all_three(page, stack)
    page.goto(wiki)
    page.get_by_role("link", name="Sign in with Fabrikam").click()
    page.wait_for_url(wiki)
    assert mary.is_signed_in(page)


def rows(page: Page) -> dict[str, str]:
    found = page.locator(".app-row").all()
    return {
        next(name for name in (*mary.NAMES, WIKI) if name in row.inner_text()): str(row.get_attribute("data-state"))
        for row in found
    }


def still_signed_in(page: Page, stack: Stack, wiki: str) -> list[str]:
    found = mary.signed_in_apps(page, stack)
    page.goto(wiki)
    return [*found, *([WIKI] if mary.is_signed_in(page) else [])]


def go_on(page: Page, home: str) -> list[str]:
    """What the application is told of its own request, as the browser carries it: the codes of the status."""
    answers: list[str] = []
    page.on("request", lambda request: answers.append(request.url) if "SAMLResponse=" in request.url else None)
    page.get_by_role("link", name="Continue").click()
    page.wait_for_url(f"{home}signed-out")
    [answer] = answers
    message = OneLogin_Saml2_Utils.decode_base64_and_inflate(parse_qs(urlsplit(answer).query)["SAMLResponse"][0])
    return [code for code in ("Success", "PartialLogout") if f"status:{code}".encode() in message]


def test_begun_by_openid_connect_each_row_says_what_became_of_the_application(
    page: Page, stack: Stack, wiki: str
) -> None:
    use_all_four(page, stack, wiki)
    mary.misbehave(stack, mary.TIMESHEET, "hang")
    page.goto(stack.app(mary.DEBUGGER))
    mary.click_sign_out(page)
    mary.wait_for_sign_out_page(page)
    dead = page.locator(".app-row").filter(has_text="Timesheet SaaS")
    expect(dead).to_have_attribute("data-state", "dead", timeout=15_000)
    expect(page.locator(".app-row[data-state=delivered]")).to_have_count(3)
    assert rows(page) == {**SIGNED_OUT, "Timesheet SaaS": "dead"}
    mary.misbehave(stack, mary.TIMESHEET, "good")
    dead.get_by_role("button", name="Try again").click()
    expect(dead).to_have_attribute("data-state", "delivered", timeout=15_000)
    assert still_signed_in(page, stack, wiki) == []


@pytest.mark.parametrize("asks", [mary.SHAREPOINT, WIKI])
def test_begun_by_saml_who_asked_hears_that_not_everybody_is_out(
    page: Page, stack: Stack, wiki: str, asks: int | str
) -> None:
    home = wiki if asks == WIKI else stack.app(mary.SHAREPOINT)
    use_all_four(page, stack, wiki)
    mary.misbehave(stack, mary.TIMESHEET, "hang")
    page.goto(home)
    mary.click_sign_out(page)
    mary.wait_for_sign_out_page(page)
    expect(page.locator(".app-row[data-state=dead]")).to_have_count(1, timeout=15_000)
    expect(page.locator(".app-row[data-state=delivered]")).to_have_count(3)
    assert rows(page) == {**SIGNED_OUT, "Timesheet SaaS": "dead"}
    assert go_on(page, home) == ["Success", "PartialLogout"]
    assert still_signed_in(page, stack, wiki) == ["Timesheet SaaS"]


def test_an_application_that_fails_in_its_frame_is_red_until_it_answers_and_then_all_are_out(
    page: Page, stack: Stack, wiki: str
) -> None:
    use_all_four(page, stack, wiki)
    misbehave(wiki, "fail")
    page.goto(stack.app(mary.SHAREPOINT))
    mary.click_sign_out(page)
    mary.wait_for_sign_out_page(page)
    red = page.locator(".app-row").filter(has_text=WIKI)
    expect(red).to_have_attribute("data-state", "dead", timeout=15_000)
    misbehave(wiki, "good")
    red.get_by_role("button", name="Try again").click()
    expect(red).to_have_attribute("data-state", "delivered", timeout=15_000)
    assert rows(page) == {**SIGNED_OUT, "Timesheet SaaS": "delivered"}
    assert still_signed_in(page, stack, wiki) == []
