"""Answers that a browser must carry itself, under our content security policy: web_message in a silent frame, form_post."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode

import pytest
from django.conf import settings

from sessions_app.models import AuthorizationCode
from tests.support.chromium import chromium, new_page
from tests.support.factories import PASSWORD, make_application, make_session, make_user
from tests.support.oauth import issuer, request_params

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
PAGE = b"""<!doctype html><title>app</title><script>
addEventListener("message", (event) => { window.got = {origin: event.origin, data: event.data}; });
</script>"""


class App(BaseHTTPRequestHandler):
    """A page that listens for messages, and a callback that keeps what was posted to it."""

    posted: list[dict[str, list[str]]] = []

    def do_GET(self) -> None:
        self._answer(PAGE)

    def do_POST(self) -> None:
        self.posted.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self._answer(b"<!doctype html><title>posted</title>")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def app_origin() -> Iterator[str]:
    App.posted = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(live_server):
    session = make_session(make_user())
    with chromium() as browser:
        context = browser.new_context()
        context.set_default_timeout(15_000)
        context.add_cookies([{"name": settings.SSO_COOKIE_NAME, "value": session.raw_cookie, "url": live_server.url}])
        yield context.new_page()
        context.close()


def spa(origin: str, **fields: object):
    return make_application(
        "SPA", token_endpoint_auth_method="none", redirect_uris=f"{origin}/cb", web_origins=[origin], **fields
    )


def test_a_silent_frame_hands_the_code_to_its_parent(page, live_server, app_origin):
    query = urlencode(request_params(spa(app_origin), response_mode="web_message", prompt="none"))
    page.goto(f"{app_origin}/")
    address = json.dumps(f"{live_server.url}/authorize?{query}")
    page.evaluate(f"document.body.appendChild(document.createElement('iframe')).src = {address}")
    got = page.wait_for_function("window.got").json_value()
    assert got["origin"] == live_server.url
    assert got["data"]["type"] == "authorization_response"
    assert got["data"]["response"]["code"]
    assert got["data"]["response"]["state"] == "the-state"
    assert got["data"]["response"]["iss"] == issuer()


def test_form_post_sends_itself_and_escapes_what_it_carries(page, live_server, app_origin):
    state = '"><script>document.title="owned"</script>'
    query = urlencode(request_params(spa(app_origin), response_mode="form_post", state=state))
    page.goto(f"{live_server.url}/authorize?{query}")
    page.wait_for_url(f"{app_origin}/cb")
    assert page.title() == "posted"
    assert App.posted[0]["state"] == [state]
    assert App.posted[0]["code"]


@pytest.fixture
def stranger(live_server):
    """A page in a browser in which nobody is signed in, and what its console said of our policy."""
    make_user()
    with chromium() as browser, new_page(browser) as page:
        complaints: list[str] = []
        page.on(
            "console", lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None
        )
        yield page, complaints


def sign_in(page, address: str) -> None:
    page.goto(address)
    page.fill("#id_username", "mary@fabrikamcorp.com")
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]", no_wait_after=True)


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_the_answer_to_the_form_reaches_the_application(stranger, live_server, app_origin, mode):
    """With a redirect it is the answer to the POST itself, to which form-action applies too."""
    page, complaints = stranger
    query = urlencode(request_params(spa(app_origin), response_mode=mode))
    sign_in(page, f"{live_server.url}/authorize?{query}")
    page.wait_for_url(f"{app_origin}/cb**")
    assert not complaints
    given = App.posted[0] if mode == "form_post" else parse_qs(page.url.replace("#", "?").partition("?")[2])
    assert given["code"]
    assert given["state"] == ["the-state"]


def test_the_answer_to_the_form_may_lead_to_a_native_application(stranger, live_server):
    page, complaints = stranger
    app = make_application("Native", app_type="native", redirect_uris="com.example.app:/cb")
    with page.expect_event("requestfailed", lambda failed: "com.example.app:" in failed.url or "/login" in failed.url):
        sign_in(page, f"{live_server.url}/authorize?{urlencode(request_params(app))}")
    assert AuthorizationCode.objects.get().application == app
    assert not complaints
