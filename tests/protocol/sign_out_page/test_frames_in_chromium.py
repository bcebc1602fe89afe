"""The frames of the sign-out page in a real browser: ten at once, each with its full time and no more, also without scripts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from idp.models import Application, TenantSettings
from idp.tenants import configuration
from sessions_app.models import SSOSession
from tests.support.chromium import chromium
from tests.support.factories import make_application, make_session, make_user
from tests.support.pages import page_of
from tests.support.receiver import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
AT_ONCE = 10
LONG = 30_000  # milliseconds; how long a page with sixty frames may take on a slow machine


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Applications:
    """Front-channel logout pages on `NAME.localhost`; NAME says how it answers: `quick-N`, `mute-N`, `endless-N`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.under_way = self.most = 0
        self.cut = threading.Event()  # somebody stopped listening to an endless answer
        self.closing = threading.Event()
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"apps": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @contextlib.contextmanager
    def counted(self, name: str) -> Iterator[None]:
        with self._lock:
            self.asked.append(name)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= 1

    def url(self, name: str) -> str:
        return f"http://{name}.localhost:{self.server.server_port}/out"

    def stop(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    apps: Applications

    def do_GET(self) -> None:
        name = self.headers["Host"].partition(".")[0]
        if self.path != "/out":
            self.send_error(404)
            return
        with self.apps.counted(name):
            if name.startswith("mute"):
                self.apps.closing.wait(60)
                return
            self.apps.closing.wait(0.2)  # an application that has something to do
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>out</title>out")
            if name.startswith("endless"):
                self._flow()

    def _flow(self) -> None:
        try:
            while not self.apps.closing.wait(0.01):
                self.wfile.write(b"<p>more" * 1000)
        except OSError:
            self.apps.cut.set()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def apps() -> Iterator[Applications]:
    running = Applications()
    yield running
    running.stop()


@pytest.fixture
def two_seconds(transactional_db: None) -> TenantSettings:
    tenant = configuration.load_tenant()
    tenant.sign_out_timeout = 2
    tenant.save()
    return tenant


def session_with(apps: Applications, *names: str) -> SSOSession:
    return make_session(make_user(), *(application(apps.url(name), name) for name in names))


def application(url: str, name: str) -> Application:
    return make_application(name, client_id=name, redirect_uris=url, frontchannel_logout_uri=url)


def row(page: Page, name: str) -> Any:
    return page.locator(f".app-row[data-name={name}]")


def test_sixty_applications_are_asked_ten_at_once(
    chrome: Browser, live_server: Any, transactional_db: None, apps: Applications
) -> None:
    names = [f"quick-{number}" for number in range(60)]
    with page_of(chrome, live_server, session_with(apps, *names)) as (page, complaints):
        page.goto("/v2/logout", wait_until="commit")
        expect(page.locator(".app-row[data-state=loaded]")).to_have_count(60, timeout=LONG)
        assert sorted(apps.asked) == sorted(names)
        assert apps.most <= AT_ONCE
        expect(page.locator("[data-frames] iframe")).to_have_count(0, timeout=LONG)
        assert complaints == []


def test_who_never_answers_takes_no_time_of_those_that_wait(
    chrome: Browser, live_server: Any, two_seconds: TenantSettings, apps: Applications
) -> None:
    """The last ones get their turn after the page's own time is over, and are not called silent before."""
    mute = [f"mute-{number}" for number in range(2 * AT_ONCE)]
    with page_of(chrome, live_server, session_with(apps, *mute, "quick-1")) as (page, _):
        page.goto("/v2/logout", wait_until="commit")
        expect(page.locator(".app-row[data-state=dead]")).to_have_count(AT_ONCE, timeout=LONG)
        expect(row(page, "quick-1")).to_have_attribute("data-state", "pending")
        expect(row(page, "quick-1")).to_have_attribute("data-state", "loaded", timeout=LONG)
        expect(page.locator(".app-row[data-state=dead]")).to_have_count(len(mute), timeout=LONG)
        heard = page.locator("[data-announce]").inner_text()
        assert "quick-1: Page loaded" in heard
        assert "quick-1: No answer" not in heard


def test_an_answer_without_an_end_is_cut_at_its_deadline(
    chrome: Browser, live_server: Any, two_seconds: TenantSettings, apps: Applications
) -> None:
    with page_of(chrome, live_server, session_with(apps, "endless-1", "quick-1")) as (page, _):
        page.goto("/v2/logout", wait_until="commit")
        expect(row(page, "quick-1")).to_have_attribute("data-state", "loaded", timeout=LONG)
        expect(row(page, "endless-1")).to_have_attribute("data-state", "dead", timeout=LONG)
        expect(page.locator("[data-frames] iframe")).to_have_count(0, timeout=LONG)
        assert apps.cut.wait(30)


def test_without_scripts_the_frames_load_too_ten_at_once(
    chrome: Browser, live_server: Any, two_seconds: TenantSettings, apps: Applications
) -> None:
    names = [f"quick-{number}" for number in range(2 * AT_ONCE + 3)]
    with page_of(chrome, live_server, session_with(apps, *names), java_script_enabled=False) as (page, _):
        page.goto("/v2/logout", wait_until="commit")
        page.wait_for_url("**?plain", timeout=LONG)
        assert sorted(apps.asked) == sorted(names)
        assert apps.most <= AT_ONCE
        expect(page.locator(".app-row[data-state=loaded]")).to_have_count(len(names))
        assert "Asked, not confirmed" in page.inner_text("body")


def test_without_scripts_there_is_a_link_past_an_application_that_is_mute(
    chrome: Browser, live_server: Any, two_seconds: TenantSettings, apps: Applications
) -> None:
    with page_of(chrome, live_server, session_with(apps, "mute-1", "quick-1"), java_script_enabled=False) as (page, _):
        page.goto("/v2/logout", wait_until="commit")
        wait_until(lambda: sorted(apps.asked) == ["mute-1", "quick-1"], 30, "the frames were not loaded")
        page.get_by_role("link", name="Go on without waiting").click()  # browsers refresh no page that still loads
        page.wait_for_url("**?plain", timeout=LONG)
        expect(page.locator(".app-row[data-state=loaded]")).to_have_count(2)
