"""How the sign-out page goes on by itself: once, not over an open choice, and not after somebody else signed in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from logout_app.browser.upstream_logout import Standing
from logout_app.models import DeliveryState, LogoutDelivery, LogoutTransaction
from sessions_app.models import SSOSession
from tests.support.chromium import chromium
from tests.support.factories import PASSWORD, make_application, make_session, make_user
from tests.support.pages import page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class SlowSite:
    """An application that needs three seconds for its page."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closing = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/out":
                    site.asked.append(self.path)
                    site.closing.wait(3)
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<!doctype html><title>arrived</title>arrived")

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/out"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def slow() -> Iterator[SlowSite]:
    site = SlowSite()
    yield site
    site.stop()


@pytest.fixture
def session(transactional_db: None) -> SSOSession:
    app = make_application("Timesheet SaaS", client_id="app", backchannel_logout_uri="https://timesheet.example/out")
    return make_session(make_user(), app)


def sign_out(page: Page, session: SSOSession, return_to: str) -> None:
    """To the sign-out page; every application has answered well."""
    app = session.clients.get().application
    app.post_logout_redirect_uris = return_to
    app.app_type = app.app_type if return_to.startswith("http") else "native"
    app.save()
    page.goto(f"/v2/logout?client_id=app&returnTo={return_to}")
    expect(page.locator(".app-row[data-app]")).to_have_attribute("data-state", "pending")
    LogoutDelivery.objects.update(state=DeliveryState.DELIVERED, finished_at=timezone.now())


def test_a_slow_application_is_reached_by_one_departure_although_somebody_touches_the_page(
    chrome: Browser, live_server: Any, session: SSOSession, slow: SlowSite
) -> None:
    with page_of(chrome, live_server, session) as (page, _):
        sign_out(page, session, slow.url)
        with page.expect_request(slow.url):
            pass
        for _step in range(4):  # what made Chromium let a later departure cancel an earlier one
            page.mouse.click(200, 10)
            page.keyboard.press("Shift")
            page.wait_for_timeout(500)
        page.wait_for_url(slow.url)
        assert page.title() == "arrived"
        assert slow.asked == ["/out"]


def test_who_presses_continue_is_not_called_back_by_the_countdown(
    chrome: Browser, live_server: Any, session: SSOSession, slow: SlowSite
) -> None:
    with page_of(chrome, live_server, session) as (page, _):
        sign_out(page, session, slow.url)
        expect(page.locator("[data-going]")).to_contain_text("Going on in")
        page.click("[data-continue]", no_wait_after=True)
        page.wait_for_url(slow.url)
        assert slow.asked == ["/out"]


def test_a_native_application_is_asked_once_and_the_page_then_has_a_link(
    chrome: Browser, live_server: Any, session: SSOSession
) -> None:
    with page_of(chrome, live_server, session) as (page, _):
        departures: list[str] = []
        watcher = page.context.new_cdp_session(page)
        watcher.send("Page.enable")
        watcher.on("Page.frameRequestedNavigation", lambda event: departures.append(event["url"]))
        sign_out(page, session, "com.example.app://out")
        expect(page.locator("[data-going]")).to_contain_text("If nothing happens")
        page.mouse.click(200, 10)
        page.wait_for_timeout(3500)  # as long as three more of the countdown would take
        assert [url for url in departures if url.startswith("com.example.app:")] == ["com.example.app://out"]
        expect(page.get_by_role("link", name="Continue")).to_have_attribute("href", "com.example.app://out")


@pytest.mark.parametrize("standing", [Standing.OFFERED, Standing.SENT])
def test_an_open_choice_stops_the_countdown(
    chrome: Browser, live_server: Any, session: SSOSession, slow: SlowSite, standing: Standing
) -> None:
    with page_of(chrome, live_server, session) as (page, _):
        sign_out(page, session, slow.url)
        LogoutDelivery.objects.update(state=DeliveryState.PENDING, finished_at=None)
        upstream = {"standing": standing.value, "asked": False, "why": ""}
        LogoutTransaction.objects.update(upstream=upstream)
        page.reload()
        LogoutDelivery.objects.update(state=DeliveryState.DELIVERED, finished_at=timezone.now())
        expect(page.locator(".app-row[data-app]")).to_have_attribute("data-state", "delivered")
        expect(page.locator("[data-upstream] a")).to_be_visible()
        page.wait_for_timeout(5000)  # longer than any countdown
        expect(page.locator("[data-going]")).to_be_hidden()
        assert slow.asked == []
        page.click("[data-continue]", no_wait_after=True)
        page.wait_for_url(slow.url)


def test_the_page_of_who_left_is_empty_after_somebody_else_signs_in(
    chrome: Browser, live_server: Any, session: SSOSession
) -> None:
    make_user("bob@fabrikamcorp.com")
    with page_of(chrome, live_server, session) as (page, _):
        page.goto("/v2/logout")
        expect(page.get_by_text("mary@fabrikamcorp.com").or_(page.get_by_text("Mary"))).to_be_visible()
        of_mary = page.url
        page.goto("/login")
        page.fill("input[name=username]", "bob@fabrikamcorp.com")
        page.fill("input[name=password]", PASSWORD)
        page.click("form button[type=submit]")
        expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
        page.go_back()
        page.go_back()
        page.wait_for_load_state()
        expect(page.get_by_text("Timesheet SaaS")).to_have_count(0)
        page.goto("/v2/logout")  # Bob leaves too: the browser's cookie of sign-out pages is there again
        page.goto(of_mary)
        expect(page.get_by_role("heading", name="This sign-out page is over")).to_be_visible()
        expect(page.get_by_text("Mary")).to_have_count(0)
