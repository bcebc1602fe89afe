"""Okta decides that Ann must be out: the seed's story, in real browsers against real processes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import mary
from tests.support.chromium import new_page
from tests.support.stack import Stack

ANN, BEN = "Ann Ames", "Ben Brown"
WITHIN = 2.0  # seconds
REVOCATIONS = """
from logout_app.models import RevocationRequest
print(sorted(RevocationRequest.objects.values_list("connection__name", "status")))
"""


@pytest.fixture(autouse=True)
def _apps_answer_again(stack: Stack) -> Iterator[None]:
    yield
    for app in range(3):
        mary.misbehave(stack, app, "good")


def organisation(stack: Stack) -> str:
    return f"http://localhost:{stack.port + 4}/"


def sign_in(page: Page, stack: Stack, person: str, *apps: int) -> None:
    """Through the Okta organisation into the first application, then into the others without a question."""
    first, *others = apps
    page.goto(stack.app(first))
    page.get_by_role("link", name="Sign in with Fabrikam").click()
    page.get_by_role("link", name="Continue with Acme Okta").click()
    page.get_by_role("button", name=person).click()
    page.wait_for_url(stack.app(first))
    assert mary.is_signed_in(page)
    for app in others:
        mary.join(page, stack, app)


def clear_and_revoke(page: Page, stack: Stack, person: str, subject_format: str) -> None:
    page.goto(organisation(stack))
    card = page.get_by_role("region", name=person)
    card.get_by_label("Subject format").select_option(subject_format)
    card.get_by_role("button", name="Clear and revoke").click()
    expect(page.get_by_role("status")).to_contain_text(f"Universal Logout of {person}: 204")


def wait_until_out(pages: list[Page], stack: Stack, apps: tuple[int, ...], began: float) -> None:
    """Every application, asked again in every browser, knows nobody."""
    for page in pages:
        for app in apps:
            page.goto(stack.app(app))
            while mary.is_signed_in(page):
                assert time.monotonic() - began < WITHIN, f"{mary.NAMES[app]} still knows the person"
                page.reload()
    assert time.monotonic() - began < WITHIN


@pytest.mark.parametrize("subject_format", [pytest.param("iss_sub", marks=pytest.mark.both), "email"])
def test_one_request_of_okta_signs_ann_out_of_two_apps_in_two_browsers_and_nobody_else(
    browser: Browser, stack: Stack, subject_format: str
) -> None:
    apps = (mary.DEBUGGER, mary.SHAREPOINT)
    with new_page(browser) as one, new_page(browser) as two, new_page(browser) as bens, new_page(browser) as okta:
        for page in (one, two):
            sign_in(page, stack, ANN, *apps)
        sign_in(bens, stack, BEN, *apps)
        began = time.monotonic()
        clear_and_revoke(okta, stack, ANN, subject_format)
        wait_until_out([one, two], stack, apps, began)
        for page in (one, two):  # nor does Curfew know her, nor Okta
            page.goto(f"{stack.app(mary.TIMESHEET)}login")
            page.get_by_role("link", name="Continue with Acme Okta").click()
            expect(page.get_by_text("Sign in to Acme")).to_be_visible()
        assert mary.signed_in_apps(bens, stack) == ["JWT Debugger", "SharePoint Intranet"]
        mary.join(bens, stack, mary.TIMESHEET)


def test_an_app_that_did_not_hear_of_it_gets_no_new_tokens(browser: Browser, stack: Stack) -> None:
    """Its own session lives until it asks: the refresh token is dead."""
    mary.misbehave(stack, mary.DEBUGGER, "fail")
    with new_page(browser) as anns, new_page(browser) as bens, new_page(browser) as okta:
        sign_in(anns, stack, ANN, mary.DEBUGGER)
        sign_in(bens, stack, BEN, mary.DEBUGGER)
        clear_and_revoke(okta, stack, ANN, "iss_sub")
        anns.reload()
        assert mary.is_signed_in(anns)
        anns.get_by_role("button", name="Refresh the tokens").click()
        expect(anns.get_by_role("alert")).to_contain_text("invalid refresh token")
        assert not mary.is_signed_in(anns)
        bens.get_by_role("button", name="Refresh the tokens").click()
        expect(bens.get_by_text("Tokens refreshed at")).to_be_visible()


def test_a_revocation_of_nobody_we_know_is_404_and_the_connection_keeps_it(browser: Browser, stack: Stack) -> None:
    with new_page(browser) as okta:
        okta.goto(organisation(stack))
        card = okta.get_by_role("region", name="Cleo Clark")
        card.get_by_role("button", name="Clear and revoke").click()
        expect(okta.get_by_role("status")).to_contain_text("404")
    assert "('acme-okta', 404)" in stack.run("shell", "--verbosity", "0", "-c", REVOCATIONS)
