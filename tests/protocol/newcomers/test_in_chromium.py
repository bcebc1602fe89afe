"""Sign-up, sign-in by mail and an invitation in a real browser, whose policy of forms they have to get through; and the preview."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from idp.people import invitations
from idp.tenants import configuration
from tests.protocol.newcomers.conftest import GOOD, delivered, link_in
from tests.protocol.newcomers.test_by_mail import code_in
from tests.support import axe
from tests.support.chromium import chromium
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.pages import follow, page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
NINA = "nina@fabrikamcorp.com"
CALLBACK = "https://jwt-debugger.example/callback"
ASKED = {"client_id": "jwt-debugger", "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid"}


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium(whole=True) as running:
        yield running


def read(page: Page, complaints: list[str]) -> None:
    assert complaints == []
    assert axe.problems(page) == [], page.url
    complaints.clear()  # of axe's own styles, which the policy forbids


def arrives(page: Page) -> Any:
    page.route(f"{CALLBACK}**", lambda route: route.fulfill(body="<title>There</title>"))
    return page.expect_response(lambda response: response.url.startswith(CALLBACK))


def test_from_an_application_by_sign_up_and_by_a_code_back_to_it(
    chrome: Browser, live_server: Any, mailoutbox: Any
) -> None:
    make_application()
    make_connection("Staff", options={"disable_signup": False, "email_sign_in": "code"})
    with page_of(chrome, live_server, color_scheme="dark", viewport={"width": 390, "height": 844}) as (
        page,
        complaints,
    ):
        page.goto(f"/authorize?{urlencode({**ASKED, 'screen_hint': 'signup'})}")
        read(page, complaints)
        page.get_by_label("E-mail address").fill(NINA)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading")).to_have_text("Look into your mailbox")
        page.goto(link_in(delivered(mailoutbox)))
        assert "key" not in urlsplit(page.url).path
        read(page, complaints)
        page.get_by_label("New password").fill(GOOD)
        with arrives(page) as back:
            page.get_by_role("button", name="Create my account").click()
        assert "code=" in back.value.url
    with page_of(chrome, live_server) as (page, complaints):
        page.goto(f"/authorize?{urlencode(ASKED)}")
        follow(page, page.get_by_role("link", name="Sign in by mail"))
        page.get_by_label("E-mail address").fill(NINA)
        page.get_by_role("button", name="Send the mail").click()
        page.get_by_label("Code").wait_for()
        read(page, complaints)
        page.get_by_label("Code").fill(code_in(delivered(mailoutbox)))
        with arrives(page) as back:
            page.get_by_role("button", name="Sign in").click()
        assert "code=" in back.value.url


def test_an_invitation_is_accepted_and_another_address_chosen(
    chrome: Browser, live_server: Any, mailoutbox: Any
) -> None:
    invitations.invite(NINA, make_connection("Staff"), name="Nina", actor="system", at=timezone.now())
    with page_of(chrome, live_server) as (page, complaints):
        page.goto(link_in(delivered(mailoutbox)))
        read(page, complaints)
        page.get_by_label("New password").fill(GOOD)
        page.get_by_role("button", name="Create my account").click()
        page.wait_for_url("**/")
        page.goto("/account/")
        page.get_by_role("link", name="Change it").click()
        read(page, complaints)
        page.get_by_label("New e-mail address").fill("nina@elsewhere.example")
        page.get_by_role("button", name="Send the mail").click()
        expect(page.get_by_role("status")).to_contain_text("on its way")
        page.goto(link_in(delivered(mailoutbox)))
        read(page, complaints)
        page.get_by_role("button", name="Change it").click()
        expect(page.locator("main")).to_contain_text("nina@elsewhere.example")


def test_the_preview_follows_what_is_typed(chrome: Browser, live_server: Any) -> None:
    configuration.load_tenant()
    boss = make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True))
    with page_of(chrome, live_server, boss) as (page, complaints):
        page.goto("/admin/idp/tenantsettings/1/change/")
        page.get_by_label("Accent colour").fill("#b00020")
        page.get_by_label("Friendly name").fill("Contoso")
        for scheme, colour in (("light", "rgb(176, 0, 32)"), ("dark", "")):
            frame = page.frame_locator(f"iframe[title='Preview, {scheme}']")
            expect(frame.locator(".brand-name")).to_have_text("Contoso")
            if colour:
                expect(frame.get_by_role("button")).to_have_css("background-color", colour)
        assert complaints == []
        for path in ("/admin/idp/tenantsettings/1/change/", "/admin/settings/texts/", "/admin/settings/mails/"):
            page.goto(path)
            read(page, complaints)
