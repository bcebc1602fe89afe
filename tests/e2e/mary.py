"""What Mary does, in words that the tests share."""

from __future__ import annotations

import re

import requests
from playwright.sync_api import Page, expect

from tests.support.receiver import wait_until
from tests.support.stack import Stack

MARY = "mary@fabrikamcorp.com"
NAMES = ("JWT Debugger", "SharePoint Intranet", "Timesheet SaaS")
DEBUGGER, SHAREPOINT, TIMESHEET = range(3)
SIGN_OUT_PAGE = re.compile(r"/logout/[\w-]{20,}$")


def sign_in(page: Page, stack: Stack, app: int = DEBUGGER) -> None:
    """Open an application and sign in with the password."""
    page.goto(stack.app(app))
    page.get_by_role("link", name="Sign in with Fabrikam").click()
    type_password(page, stack)
    page.wait_for_url(stack.app(app))
    expect(page.get_by_text(MARY).first).to_be_visible()


def type_password(page: Page, stack: Stack) -> None:
    page.locator("[name=username]").fill(MARY)
    page.locator("[name=password]").fill(stack.credentials["mary"])
    page.get_by_role("button", name="Sign in", exact=True).click()


def join(page: Page, stack: Stack, app: int) -> None:
    """Open another application; nobody asks for a password, or this fails."""
    seen: list[str] = []
    page.on("framenavigated", lambda frame: seen.append(frame.url))
    page.goto(stack.app(app))
    page.get_by_role("link", name="Sign in with Fabrikam").click()
    page.wait_for_url(stack.app(app))
    assert not [url for url in seen if "/login?" in url and str(stack.port) in url]
    assert is_signed_in(page)


def use_all_three(page: Page, stack: Stack) -> None:
    sign_in(page, stack, DEBUGGER)
    join(page, stack, SHAREPOINT)
    join(page, stack, TIMESHEET)


def use_all_three_without_javascript(page: Page, stack: Stack) -> None:
    """A response by SAML is a form, which somebody has to send then."""
    sign_in(page, stack, DEBUGGER)
    page.goto(stack.app(SHAREPOINT))
    page.get_by_role("link", name="Sign in with Fabrikam").click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(stack.app(SHAREPOINT))
    join(page, stack, TIMESHEET)


def click_sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out", exact=True).click()


def wait_for_sign_out_page(page: Page) -> None:
    """Until it is there; its frames may still be loading, so its load event may be far."""
    page.wait_for_url(SIGN_OUT_PAGE, wait_until="commit")


def is_signed_in(page: Page) -> bool:
    return page.get_by_role("button", name="Sign out", exact=True).count() == 1


def expect_signed_out(page: Page, stack: Stack, app: int) -> None:
    """At an application that is told in the background, a moment later than the page says so of others."""
    page.goto(stack.app(app))
    wait_until(lambda: not is_signed_in(page) or page.reload() is None, 10, f"{NAMES[app]} was not told")


def signed_in_apps(page: Page, stack: Stack) -> list[str]:
    """Which applications still know Mary, asked one after the other."""
    found = []
    for app, name in enumerate(NAMES):
        page.goto(stack.app(app))
        if is_signed_in(page):
            found.append(name)
    return found


def expect_nobody_at_the_provider(page: Page, stack: Stack, app: int = DEBUGGER) -> None:
    """An application that wants a sign-in now gets the login page."""
    page.goto(f"{stack.app(app)}login")
    expect(page.locator("[name=password]")).to_be_visible()


def misbehave(stack: Stack, app: int, mode: str) -> None:
    """Tell an application how to take a sign-out, as its buttons do: `good`, `hang` or `fail`."""
    requests.post(f"{stack.app(app)}trouble", data={"mode": mode}, timeout=20).raise_for_status()
