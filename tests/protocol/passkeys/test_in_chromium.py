"""Passkeys from the offer after a password to the sign-in without one, in a real browser with an authenticator of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

from idp.models import Connection
from idp.tenants import configuration
from sessions_app.models import SSOSession
from tests.support import axe
from tests.support.chromium import chromium
from tests.support.factories import PASSWORD, make_application, make_session, make_user
from tests.support.oauth import decode, exchange, request_params
from tests.support.pages import page_of
from tests.support.virtual_keys import VirtualKey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium(whole=True) as running:
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
        button = page.get_by_role("button", name="Use a passkey")
        expect(button).to_be_visible()
        assert axe.problems(page) == []
        complaints.clear()
        key.answers(True)
        button.click()
        expect(page).to_have_url(f"{server.url}/account/")
        assert methods() == ["mfa", "hwk"]
        assert complaints == []


def test_among_what_the_browser_fills_in(chrome: Browser, server: Any) -> None:
    """Nobody presses a button: the request waits in the form, and whoever chooses the passkey there is in."""
    mary = make_user()
    with page_of(chrome, server, make_session(mary)) as (page, complaints):
        VirtualKey(page)
        page.goto("/account/mfa/")
        page.get_by_role("link", name=re.compile("Add ?: Passkey")).click()
        page.get_by_label("Name").fill("Work laptop")
        page.get_by_role("button", name="Create a passkey").click()
        expect(page.locator(".lead")).to_contain_text("It is called Work laptop.")
        sign_out(page)
        page.goto("/login?next=/account/mfa/webauthn/")
        expect(page.locator(".key-list")).to_contain_text("Work laptop Passkey")
        assert methods() == ["mfa", "hwk"]
        assert complaints == []


def test_an_application_that_asks_again_gets_two_factors_by_the_offer(chrome: Browser, server: Any) -> None:
    app = make_application(redirect_uris=f"{server.url}/nothing/here")
    make_user()
    Connection.objects.update(options={"passkey_options": {"challenge_ui": "button"}})
    configuration.bump()
    asked = request_params(app, redirect_uri=f"{server.url}/nothing/here", acr_values="multi-factor", prompt="login")
    with page_of(chrome, server) as (page, complaints):
        key = VirtualKey(page)
        by_password(page, f"/authorize?{urlencode(asked)}")
        page.get_by_role("button", name="Create a passkey").click()
        page.get_by_role("link", name="Continue to JWT Debugger").click()
        page.wait_for_url("**/nothing/here?code=*")
        key.verifies(False)
        sign_out(page)
        page.goto(f"/authorize?{urlencode(asked)}")
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_text("Nothing was chosen")).to_be_visible()
        key.verifies(True)
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url("**/nothing/here?code=*")
        code = parse_qs(urlsplit(page.url).query)["code"][0]
    claims = decode(exchange(app, code, redirect_uri=f"{server.url}/nothing/here").json()["id_token"])
    assert (claims["acr"], claims["amr"]) == ("multi-factor", ["mfa", "hwk"])
    assert [line for line in complaints if "404" not in line] == []


def test_not_now_is_remembered(chrome: Browser, server: Any) -> None:
    make_user()
    with page_of(chrome, server) as (page, complaints):
        VirtualKey(page)
        by_password(page)
        page.get_by_role("button", name="Not now").click()
        expect(page).to_have_url(f"{server.url}/account/")
        sign_out(page)
        by_password(page)
        expect(page).to_have_url(f"{server.url}/account/")
        assert complaints == []


def test_a_browser_is_remembered_by_the_box_beside_a_key(chrome: Browser, server: Any) -> None:
    mary = make_user()
    with page_of(chrome, server, make_session(mary)) as (page, complaints):
        VirtualKey(page)
        page.goto("/account/passkeys/add/")
        page.get_by_role("button", name="Create a passkey").click()
        page.get_by_role("link", name="Continue").wait_for()
        Connection.objects.update(options={"passkey_options": {"enabled": False}})
        configuration.bump()
        sign_out(page)
        by_password(page)
        expect(page.get_by_role("heading", level=1)).to_have_text("One more proof")
        assert axe.problems(page) == []
        complaints.clear()
        page.get_by_label("Do not ask again in this browser for 30 days").check()
        page.get_by_role("button", name="Use a passkey or security key").click()
        expect(page).to_have_url(f"{server.url}/account/")
        assert methods() == ["pwd", "mfa", "hwk"]
        page.context.clear_cookies(name=settings.SSO_COOKIE_NAME)
        by_password(page)
        expect(page).to_have_url(f"{server.url}/account/")
        assert methods() == ["pwd"]
        page.goto("/account/sessions")
        page.get_by_role("button", name="Forget").click()
        expect(page.get_by_role("heading", name="Not asked for a second factor")).to_have_count(0)
        page.context.clear_cookies(name=settings.SSO_COOKIE_NAME)
        by_password(page)
        expect(page.get_by_role("heading", level=1)).to_have_text("One more proof")
        assert complaints == []
