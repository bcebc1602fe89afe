"""The seed's customer-side single-logout application (examples/logout_app), as Mary sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import mary
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def address(stack: Stack) -> Iterator[str]:
    with stack.example("logout_app", "LOGOUT_APP", 8006) as found:
        yield found


def test_it_signs_mary_out_of_every_app_and_then_of_the_provider(page: Page, stack: Stack, address: str) -> None:
    mary.use_all_three(page, stack)
    page.goto(address)
    expect(page.locator("#user")).to_have_text(mary.MARY)
    for name in mary.NAMES:
        row = page.locator("#apps li").filter(has_text=name)
        expect(row).to_have_attribute("data-status", "loaded", timeout=5000)
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("heading", name="Logout complete")).to_be_visible(timeout=15_000)
    assert page.url == f"{address}#complete"
    assert mary.signed_in_apps(page, stack) == []
    mary.expect_nobody_at_the_provider(page, stack)


def test_it_shows_only_the_apps_that_mary_used(page: Page, stack: Stack, address: str) -> None:
    mary.sign_in(page, stack, mary.SHAREPOINT)
    page.goto(address)
    expect(page.locator("#apps li")).to_have_count(1)
    expect(page.locator("#apps li")).to_contain_text("SharePoint Intranet")


def test_an_app_that_takes_longer_than_five_seconds_is_red_and_does_not_stop_mary(
    page: Page, stack: Stack, address: str
) -> None:
    mary.sign_in(page, stack, mary.DEBUGGER)
    mary.join(page, stack, mary.TIMESHEET)
    mary.misbehave(stack, mary.TIMESHEET, "hang")
    try:
        page.goto(address, wait_until="commit")
        red = page.locator("#apps li").filter(has_text="Timesheet SaaS")
        expect(red).to_have_attribute("data-status", "error", timeout=9000)
        expect(page.locator("#apps li").filter(has_text="JWT Debugger")).to_have_attribute("data-status", "loaded")
        expect(page.get_by_role("link", name="Continue")).to_be_visible()
    finally:
        mary.misbehave(stack, mary.TIMESHEET, "good")


def test_without_a_session_it_goes_straight_to_the_end(page: Page, address: str) -> None:
    page.goto(address, wait_until="commit")
    expect(page.get_by_role("heading", name="Logout complete")).to_be_visible()
