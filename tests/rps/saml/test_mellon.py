"""Debian's libapache2-mod-auth-mellon, unmodified: sign-in, and logout by redirects and frames."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.rps.running import sign_in as fill_in
from tests.rps.saml.person import Person
from tests.rps.saml.providers import MELLON, Providers
from tests.support.chromium import new_page

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def place(providers: Providers) -> Iterator[str]:
    providers.furnish(MELLON)
    with providers.apache(MELLON):
        yield providers.url(MELLON)


def sign_in(person: Person, place: str) -> None:
    page = person.signs_in(person.opens(f"{place}/private/"))
    assert (page.url, page.text) == (f"{place}/private/", "private page")
    assert not person.is_led_away(f"{place}/private/")


def test_its_metadata_are_what_an_import_reads(providers: Providers, place: str) -> None:
    providers.describes(MELLON, f"{place}/mellon/metadata")


def test_a_sign_out_at_curfew_reaches_it_in_a_frame(providers: Providers, place: str) -> None:
    person = providers.person()
    sign_in(person, place)
    page = person.opens(f"{providers.issuer}v2/logout")
    assert person.rows(page) == {MELLON: "pending"}
    person.loads_frames(page)
    assert person.rows(page) == {MELLON: "delivered"}
    assert person.is_led_away(f"{place}/private/")


def test_in_a_browser_its_row_turns_green_by_its_own_answer(providers: Providers, place: str, browser: Browser) -> None:
    with new_page(browser, ignore_https_errors=True) as page:
        page.goto(f"{place}/private/")
        fill_in(page)
        page.wait_for_url(f"{place}/private/")
        page.goto(f"{providers.issuer}v2/logout")
        expect(page.locator(f"[data-name={MELLON}]")).to_have_attribute("data-state", "delivered")
        page.goto(f"{place}/private/")
        assert page.locator("input[name=password]").is_visible()


def test_its_own_logout_ends_both_sessions_and_it_believes_the_answer(providers: Providers, place: str) -> None:
    person = providers.person()
    sign_in(person, place)
    page = person.opens(f"{place}/mellon/logout?ReturnTo={place}/")
    assert (page.url, page.text) == (f"{place}/", "signed out")
    assert "username" in person.opens(f"{place}/private/").text
