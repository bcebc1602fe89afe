"""Your sessions, with two browsers: what one of them ends, the other one and its apps feel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import mary, screenshots
from tests.support import axe
from tests.support.chromium import new_page
from tests.support.receiver import wait_until
from tests.support.stack import Stack

pytestmark = pytest.mark.once


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """Mary's other browser."""
    with new_page(browser, viewport={"width": 390, "height": 844}) as other:
        yield other


def open_sessions(page: Page, stack: Stack) -> None:
    page.goto(stack.issuer)
    page.get_by_role("link", name="Your sessions").click()
    expect(page.get_by_role("heading", name="Your sessions", exact=True)).to_be_visible()


def leave_other_devices(page: Page, stack: Stack) -> None:
    """The demo is shared: what earlier tests left signed in ends first."""
    open_sessions(page, stack)
    others = page.get_by_role("button", name="Sign out of all other devices")
    if others.count():
        others.click()


def test_another_browser_is_signed_out_and_its_apps_are_told(stack: Stack, page: Page, phone: Page) -> None:
    mary.sign_in(page, stack, mary.DEBUGGER)
    leave_other_devices(page, stack)
    mary.sign_in(phone, stack, mary.SHAREPOINT)
    mary.join(phone, stack, mary.TIMESHEET)
    open_sessions(page, stack)
    cards = page.locator(".device")
    expect(cards).to_have_count(2)
    expect(cards.first).to_contain_text("This device")
    expect(cards.last).to_contain_text("SharePoint Intranet")
    expect(cards.last).to_contain_text("Timesheet SaaS")
    cards.last.get_by_role("button").click()
    expect(page.get_by_text("2 of 2 apps told").first).to_be_visible()
    expect(cards).to_have_count(1)
    wait_until(lambda: mary.signed_in_apps(phone, stack) == [])  # the words above may be those of an earlier end
    mary.expect_nobody_at_the_provider(phone, stack)
    page.goto(stack.app(mary.DEBUGGER))
    assert mary.is_signed_in(page)


AN_HOUR_AGO = """
from datetime import timedelta
from django.db.models import F
from sessions_app.models import SSOSession
SSOSession.objects.update(auth_time=F("auth_time") - timedelta(minutes=61))
"""


def test_after_an_hour_another_device_is_signed_out_with_the_password(stack: Stack, page: Page, phone: Page) -> None:
    mary.sign_in(page, stack, mary.DEBUGGER)
    leave_other_devices(page, stack)
    mary.sign_in(phone, stack, mary.SHAREPOINT)
    stack.run("shell", "-c", AN_HOUR_AGO)
    open_sessions(page, stack)
    page.locator(".device").last.get_by_role("button").click()
    page.locator("[name=password]").fill(stack.credentials["mary"])
    page.get_by_role("button", name="Confirm").click()
    question = page.get_by_role("heading", name="Sign out of Chrome on Linux?")
    expect(question).to_be_visible()
    assert axe.problems(page) == []
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_text("1 of 1 app told").first).to_be_visible()
    expect(question).to_have_count(0)
    expect(page.locator(".device")).to_have_count(1)
    mary.expect_signed_out(phone, stack, mary.SHAREPOINT)


def test_an_app_that_hangs_turns_red_without_a_reload(stack: Stack, page: Page, phone: Page) -> None:
    mary.sign_in(page, stack, mary.DEBUGGER)
    leave_other_devices(page, stack)
    mary.sign_in(phone, stack, mary.TIMESHEET)
    open_sessions(page, stack)
    mary.misbehave(stack, mary.TIMESHEET, "hang")
    try:
        page.locator(".device").last.get_by_role("button").click()
        row = page.locator(".told").first.locator(".app-row")
        expect(row).to_have_attribute("data-state", "pending")
        expect(row).to_have_attribute("data-state", "dead", timeout=15_000)
    finally:
        mary.misbehave(stack, mary.TIMESHEET, "good")
    expect(row).to_contain_text("No answer")
    expect(page.get_by_text("We keep trying in the background").first).to_be_visible()
    expect(page.get_by_text("Chrome on Linux is signed out.")).to_be_visible()  # a reload would have taken it away
    expect(page.locator("[data-announce]")).to_contain_text("0 of 1 app told")


def test_without_javascript_the_page_reloads_until_the_apps_are_told(
    stack: Stack, browser: Browser, phone: Page
) -> None:
    mary.sign_in(phone, stack, mary.SHAREPOINT)
    with new_page(browser, java_script_enabled=False) as page:
        page.goto(f"{stack.issuer}account/sessions")
        mary.type_password(page, stack)
        page.get_by_role("button", name="Sign out of all other devices").click()
        expect(page.get_by_text("1 of 1 app told").first).to_be_visible()
    mary.expect_signed_out(phone, stack, mary.SHAREPOINT)


def test_everywhere_asks_and_then_shows_the_sign_out_page(stack: Stack, page: Page, phone: Page) -> None:
    mary.sign_in(page, stack, mary.DEBUGGER)
    mary.sign_in(phone, stack, mary.SHAREPOINT)
    open_sessions(page, stack)
    page.get_by_role("link", name="Sign out everywhere").click()
    expect(page.get_by_role("heading", name="Sign out everywhere?")).to_be_visible()
    assert axe.problems(page) == []
    page.get_by_role("button", name="Sign out everywhere").click()
    mary.wait_for_sign_out_page(page)
    expect(page.get_by_role("heading", name="You are signed out everywhere")).to_be_visible()
    mary.expect_nobody_at_the_provider(page, stack)
    mary.expect_nobody_at_the_provider(phone, stack)
    mary.expect_signed_out(phone, stack, mary.SHAREPOINT)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(browser: Browser, stack: Stack, scheme: str) -> None:
    with new_page(browser, viewport={"width": 320, "height": 640}, color_scheme=scheme) as page:
        screenshots.your_sessions(page, stack)
        assert page.get_by_role("button").count() == 4
        assert axe.problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_the_keyboard_reaches_every_button_in_order(stack: Stack, page: Page) -> None:
    screenshots.your_sessions(page, stack)
    page.goto(f"{stack.issuer}account/sessions")
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent.trim()").split(", ")[0])
    assert seen == [
        "Skip to the content",
        *("Profile", "Sign-in methods", "Sessions", "Applications", "Activity"),
        "change your password",
        "Sign out: this device",
        "Sign out: Firefox on Android",
        "Revoke: JWT Debugger",
        "Sign out of all other devices",
        "Sign out everywhere",
    ]
