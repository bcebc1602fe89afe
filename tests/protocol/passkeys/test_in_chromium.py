"""Passkeys from the offer after a password to the sign-in without one, in a real browser with an authenticator of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from idp.models import User
from sessions_app.models import SSOSession
from tests.support import axe
from tests.support.chromium import chromium
from tests.support.factories import PASSWORD, make_application, make_user
from tests.support.pages import page_of
from tests.support.virtual_keys import VirtualKey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def server(live_server: Any, settings: Any) -> Any:
    settings.ISSUER_ORIGIN = live_server.url  # what a browser puts into its answers
    return live_server


def by_password(page: Page, path: str = "/login?next=/account/") -> None:
    page.goto(path)
    page.get_by_label("E-mail address or user name").fill("mary@fabrikamcorp.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: Page) -> None:
    page.context.clear_cookies()


def methods() -> list[str]:
    return [method["name"] for method in SSOSession.objects.latest("pk").amr]


def test_from_the_offer_to_a_sign_in_without_a_password(chrome: Browser, server: Any) -> None:
    make_user()
    with page_of(chrome, server) as (page, complaints):
        key = VirtualKey(page)
        by_password(page)
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in without your password?")
        assert axe.problems(page) == []
        complaints.clear()  # of axe's own styles
        page.get_by_role("button", name="Create a passkey").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Your passkey is ready")
        assert page.locator(".codes li").count() == 10
        assert [made["isResidentCredential"] for made in key.credentials] == [True]
        assert methods() == ["pwd", "mfa", "hwk"]
        page.get_by_role("link", name="Continue").click()
        expect(page).to_have_url(f"{server.url}/account/")

        key.answers(False)  # so that nothing is chosen among what the browser fills in
        sign_out(page)
        page.goto("/login?next=/account/")
        expect(page.get_by_label("E-mail address or user name")).to_have_attribute("autocomplete", "username webauthn")
        button = page.get_by_role("button", name="Sign in with a passkey")
        expect(button).to_be_visible()
        assert axe.problems(page) == []
        complaints.clear()
        key.answers(True)
        button.click()
        expect(page).to_have_url(f"{server.url}/account/")
        assert methods() == ["mfa", "hwk"]
        assert complaints == []
