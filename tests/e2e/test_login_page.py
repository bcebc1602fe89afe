"""The login page with more than one way in, as people see it and as people who cannot see it do."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import mary
from tests.support import axe
from tests.support.chromium import new_page
from tests.support.stack import Stack

pytestmark = pytest.mark.once
ANN = "ann@acme.example"


def open_login(page: Page, stack: Stack, app: int = mary.DEBUGGER) -> None:
    page.goto(stack.app(app))
    page.get_by_role("link", name="Sign in with Fabrikam").click()
    expect(page.get_by_role("heading", name=f"Sign in to {mary.NAMES[app]}")).to_be_visible()


def ann_at_okta(page: Page, stack: Stack) -> None:
    page.wait_for_url(re.compile(f"^{re.escape(stack.okta)}"))
    page.get_by_role("button", name=re.compile("Ann Ames")).click()


def cleo_is_refused(page: Page, stack: Stack) -> None:
    open_login(page, stack)
    page.get_by_role("link", name="Continue with Acme Okta").click()
    page.get_by_role("button", name=re.compile("Cleo Clark")).click()
    expect(page.get_by_role("alert")).to_contain_text("Acme Okta says: ")


def wrong_password(page: Page, stack: Stack) -> None:
    open_login(page, stack)
    page.locator("[name=username]").fill(mary.MARY)
    page.locator("[name=password]").fill("not her password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert").first).to_be_visible()


def back_after_signing_out(page: Page, stack: Stack) -> None:
    open_login(page, stack)
    page.get_by_role("link", name="Continue with Acme Okta").click()
    ann_at_okta(page, stack)
    page.wait_for_url(stack.app(mary.DEBUGGER))
    page.goto(f"{stack.issuer}v2/logout")
    open_login(page, stack)


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no javascript"])
def test_an_address_of_the_organisation_is_enough(browser: Browser, stack: Stack, javascript: bool) -> None:
    with new_page(browser, java_script_enabled=javascript) as page:
        open_login(page, stack)
        page.locator("[name=username]").fill(ANN)
        page.locator("[name=username]").press("Enter")
        ann_at_okta(page, stack)
        page.wait_for_url(stack.app(mary.DEBUGGER))
        assert mary.is_signed_in(page)


def test_what_was_used_last_comes_first_and_waits_to_be_chosen(page: Page, stack: Stack) -> None:
    back_after_signing_out(page, stack)
    ways = page.locator("a.button, form button")
    expect(ways.first).to_have_accessible_name(re.compile("Continue with Acme Okta Last used"))


def test_mary_may_use_her_password_after_somebody_was_refused(page: Page, stack: Stack) -> None:
    cleo_is_refused(page, stack)
    page.get_by_role("link", name="Use another way to sign in").click()
    mary.type_password(page, stack)
    page.wait_for_url(stack.app(mary.DEBUGGER))
    assert mary.is_signed_in(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("prepare", [open_login, wrong_password, back_after_signing_out, cleo_is_refused])
def test_everybody_can_use_it(
    browser: Browser, stack: Stack, prepare: Callable[[Page, Stack], None], scheme: str
) -> None:
    with new_page(browser, viewport={"width": 320, "height": 640}, color_scheme=scheme) as page:
        prepare(page, stack)
        assert axe.problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_the_keyboard_reaches_every_way_in_order(page: Page, stack: Stack) -> None:
    open_login(page, stack)
    seen = []
    for _ in range(7):
        seen.append(page.evaluate("document.activeElement.name || document.activeElement.innerText.trim()"))
        page.keyboard.press("Tab")
    assert [name.split("\n")[-1] for name in seen if name] == [
        "username",
        "password",
        "Sign in",
        "Use a passkey",
        "Forgot your password?",
        "Continue with Acme Okta",
    ]
