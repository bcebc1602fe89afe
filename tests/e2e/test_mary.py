"""Mary's story of the seed, in a real browser against real processes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import mary
from tests.support.chromium import new_page
from tests.support.stack import Stack

pytestmark = pytest.mark.both
COUNT_DELIVERIES = """
from logout_app.models import LogoutDelivery
print(sorted(LogoutDelivery.objects.values_list("application__name", "channel", "state")))
"""


@pytest.fixture(autouse=True)
def _apps_answer_again(stack: Stack) -> Iterator[None]:
    yield
    for app in range(3):
        mary.misbehave(stack, app, "good")


def test_mary_signs_in_once_uses_three_apps_and_signs_out_of_all_in_one(page: Page, stack: Stack) -> None:
    mary.use_all_three(page, stack)
    assert mary.signed_in_apps(page, stack) == list(mary.NAMES)
    page.goto(stack.app(mary.DEBUGGER))
    began = time.monotonic()
    mary.click_sign_out(page)
    mary.wait_for_sign_out_page(page)
    rows = page.locator(".app-row")
    expect(rows).to_have_count(3)
    for name in mary.NAMES:
        row = rows.filter(has_text=name)
        expect(row).to_have_attribute("data-state", "delivered", timeout=5000)
        expect(row).to_contain_text("Signed out")
    assert time.monotonic() - began < 6
    page.get_by_role("link", name="Continue").click()
    page.wait_for_url(f"{stack.app(mary.DEBUGGER)}signed-out")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert mary.signed_in_apps(page, stack) == []
    mary.expect_nobody_at_the_provider(page, stack)


def test_the_apps_heard_of_it_by_both_channels_and_the_one_that_speaks_saml_by_soap(page: Page, stack: Stack) -> None:
    mary.use_all_three(page, stack)
    mary.click_sign_out(page)
    mary.wait_for_sign_out_page(page)
    expect(page.locator(".app-row[data-state=delivered]")).to_have_count(3)
    told = stack.run("shell", "--verbosity", "0", "-c", COUNT_DELIVERIES)
    for name in ("JWT Debugger", "Timesheet SaaS"):
        assert f"('{name}', 'backchannel', 'delivered')" in told
        assert f"('{name}', 'frontchannel', 'delivered')" in told
    assert "('SharePoint Intranet', 'saml_soap', 'delivered')" in told
    assert "('SharePoint Intranet', 'backchannel'" not in told


def test_when_all_is_green_the_page_goes_on_by_itself(page: Page, stack: Stack) -> None:
    mary.sign_in(page, stack, mary.SHAREPOINT)
    mary.click_sign_out(page)
    page.wait_for_url(f"{stack.app(mary.SHAREPOINT)}signed-out")


def test_back_channel_ends_the_session_in_an_app_that_no_frame_reaches(
    page: Page, browser: Browser, stack: Stack
) -> None:
    """The cookie of another browser profile stays, but the session behind it is gone for the app."""
    mary.use_all_three(page, stack)
    cookies = page.context.cookies()
    with new_page(browser) as copy:  # the same cookies in a browser that shows no sign-out page
        copy.context.add_cookies([c for c in cookies if c["name"].startswith("demo_")])  # type: ignore[misc]
        assert mary.signed_in_apps(copy, stack) == list(mary.NAMES)
        mary.click_sign_out(page)
        mary.wait_for_sign_out_page(page)
        expect(page.locator(".app-row[data-state=delivered]")).to_have_count(3)
        deadline = time.monotonic() + 5
        while mary.signed_in_apps(copy, stack) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert mary.signed_in_apps(copy, stack) == []


def test_another_device_of_mary_stays_signed_in(page: Page, browser: Browser, stack: Stack) -> None:
    mary.sign_in(page, stack)
    with new_page(browser) as other:
        mary.sign_in(other, stack)
        mary.click_sign_out(page)
        page.wait_for_url(f"{stack.app(mary.DEBUGGER)}signed-out")
        assert mary.signed_in_apps(other, stack) == ["JWT Debugger"]


def test_an_app_that_does_not_answer_turns_red_and_try_again_makes_it_green(page: Page, stack: Stack) -> None:
    mary.use_all_three(page, stack)
    page.get_by_role("button", name="does not answer").click()
    expect(page.get_by_role("button", name="does not answer")).to_have_attribute("aria-pressed", "true")
    page.goto(stack.app(mary.SHAREPOINT))
    mary.click_sign_out(page)
    mary.wait_for_sign_out_page(page)
    red = page.locator(".app-row").filter(has_text="Timesheet SaaS")
    expect(red).to_have_attribute("data-state", "dead", timeout=9000)
    expect(red).to_contain_text("No answer")
    expect(page.locator(".app-row[data-state=delivered]")).to_have_count(2)
    expect(page.get_by_role("link", name="Continue")).to_be_visible()
    mary.misbehave(stack, mary.TIMESHEET, "good")
    red.get_by_role("button", name="Try again").click()
    expect(red).to_have_attribute("data-state", "delivered", timeout=9000)
    expect(page.get_by_role("heading", name="You are signed out everywhere")).to_be_visible()


def test_leaving_the_page_early_leaves_nobody_signed_in(page: Page, stack: Stack) -> None:
    """The session ends when signing out begins, not at Continue; the back channel does not need the page."""
    mary.use_all_three(page, stack)
    page.route(mary.SIGN_OUT_PAGE, lambda route: route.abort())
    page.get_by_role("button", name="Sign out", exact=True).click(no_wait_after=True)
    page.wait_for_timeout(1500)
    page.unroute_all()
    assert mary.signed_in_apps(page, stack) == []
    mary.expect_nobody_at_the_provider(page, stack)


def test_without_javascript_the_page_shows_the_result(browser: Browser, stack: Stack) -> None:
    with new_page(browser, java_script_enabled=False) as page:
        mary.use_all_three_without_javascript(page, stack)
        mary.click_sign_out(page)
        mary.wait_for_sign_out_page(page)
        page.wait_for_timeout(1500)
        page.reload()
        expect(page.locator(".app-row")).to_have_count(3)
        expect(page.locator(".app-row").first).to_contain_text("Signed out")
        page.get_by_role("link", name="Continue").click()
        expect(page.get_by_text("You are signed out.")).to_be_visible()
        assert mary.signed_in_apps(page, stack) == []


def test_the_refresh_token_of_an_app_dies_with_the_session(page: Page, browser: Browser, stack: Stack) -> None:
    """An app that missed every message still learns it when it refreshes."""
    mary.sign_in(page, stack, mary.DEBUGGER)
    page.get_by_role("button", name="Refresh the tokens").click()
    expect(page.get_by_text("Tokens refreshed at")).to_be_visible()
    mary.join(page, stack, mary.SHAREPOINT)
    mary.misbehave(stack, mary.DEBUGGER, "fail")
    page.goto(stack.app(mary.SHAREPOINT))
    mary.click_sign_out(page)
    mary.wait_for_sign_out_page(page)
    page.goto(stack.app(mary.DEBUGGER))
    assert mary.is_signed_in(page)
    page.get_by_role("button", name="Refresh the tokens").click()
    expect(page.get_by_role("alert")).to_contain_text("The identity provider says")
    assert not mary.is_signed_in(page)
