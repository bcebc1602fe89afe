"""The logout preflight on an application's page: it asks the real URLs and says what browsers and our worker will meet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.test import Client
from django.urls import reverse

from idp.models import Application
from sessions_app.models import SSOSession
from tests.support.factories import make_application
from tests.support.receiver import Receiver

pytestmark = pytest.mark.django_db


class App(BaseHTTPRequestHandler):
    """`answers`: path -> status and headers; `requests`: what came."""

    answers: dict[str, tuple[int, dict[str, str]]]
    requests: list[tuple[str, str, dict[str, str], str]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.requests.append((self.command, self.path, dict(self.headers), body))
        status, headers = self.answers.get(self.path.partition("?")[0], (404, {}))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def app() -> Iterator[tuple[type[App], str]]:
    handler = type("ThisApp", (App,), {"answers": {}, "requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]


@pytest.fixture
def run(admin: Client) -> Callable[[Application], str]:
    def check(application: Application) -> str:
        url = reverse("admin:idp_application_act", args=(application.pk, "preflight"))
        assert "Logout preflight" in admin.get(url).content.decode()
        return admin.post(url).content.decode()

    return check


def test_it_asks_both_channels_and_says_what_it_found(
    app: tuple[type[App], str], run: Callable[[Application], str]
) -> None:
    handler, origin = app
    handler.answers = {
        "/fc": (200, {"X-Frame-Options": "DENY", "Set-Cookie": "s=1", "Cache-Control": "no-store"}),
        "/bc": (400, {}),
    }
    application = make_application(
        frontchannel_logout_uri=f"{origin}/fc",
        frontchannel_logout_session_required=True,
        backchannel_logout_uri=f"{origin}/bc",
    )
    html = run(application)
    assert "X-Frame-Options: DENY: browsers will not show it" in html
    assert "refuses a token that is none with 400" in html
    assert "The back-channel URL is http" in html
    (get, get_path, get_headers, _), (post, post_path, _, body) = handler.requests
    assert (get, post, post_path) == ("GET", "POST", "/bc")
    assert get_path.startswith("/fc?iss=http")
    assert not SSOSession.objects.filter(sid=get_path.rpartition("sid=")[2]).exists()
    assert get_headers["Sec-Fetch-Dest"] == "iframe"
    assert "Cookie" not in get_headers
    assert body == "logout_token=preflight"


def test_a_page_that_works_has_no_complaint(app: tuple[type[App], str], run: Callable[[Application], str]) -> None:
    handler, origin = app
    handler.answers = {"/fc": (200, {"Cache-Control": "no-store"})}
    html = run(
        make_application(frontchannel_logout_uri=f"{origin}/fc", frontchannel_logout_session_required=True),
    )
    assert 'class="fine"' in html
    assert 'class="bad"' not in html
    assert 'class="warn"' not in html


def test_redirects_to_a_sign_in_are_seen_not_followed(
    app: tuple[type[App], str], run: Callable[[Application], str]
) -> None:
    handler, origin = app
    handler.answers = {"/fc": (302, {"Location": "/login"}), "/bc": (302, {"Location": "/login"})}
    html = run(make_application(frontchannel_logout_uri=f"{origin}/fc", backchannel_logout_uri=f"{origin}/bc"))
    assert "the frame ends on a login page" in html
    assert "redirects are not followed" in html
    assert [path for _, path, *_ in handler.requests] == ["/fc", "/bc"]


def test_what_cannot_be_reached_is_said_in_words(tmp_path: Path, run: Callable[[Application], str]) -> None:
    assert "cannot be reached from here: connection refused." in run(
        make_application(backchannel_logout_uri="http://localhost:18999/bc")
    )
    pem = tmp_path / "server.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(pem))
    with Receiver(tmp_path, pem, "localhost") as untrusted:
        html = run(make_application("Other", backchannel_logout_uri=untrusted.url("bc")))
    assert "has a certificate that we do not trust: " in html


def test_an_address_that_the_outbound_policy_refuses_is_not_asked(
    app: tuple[type[App], str], run: Callable[[Application], str], settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = []
    handler, origin = app
    html = run(make_application(backchannel_logout_uri=f"{origin.replace('http:', 'https:')}/bc"))
    assert "not a public address" in html
    assert handler.requests == []


def test_it_is_offered_where_there_is_something_to_ask(admin: Client) -> None:
    deaf = make_application()
    page = admin.get(reverse("admin:idp_application_change", args=(deaf.pk,))).content.decode()
    assert "nothing tells it of sign-outs" in page
    assert "preflight/" not in page
    told = make_application("Told", backchannel_logout_uri="https://told.example/bc")
    page = admin.get(reverse("admin:idp_application_change", args=(told.pk,))).content.decode()
    assert reverse("admin:idp_application_act", args=(told.pk, "preflight")) in page


def test_looking_asks_nothing(app: tuple[type[App], str], admin: Client) -> None:
    handler, origin = app
    application = make_application(backchannel_logout_uri=f"{origin}/bc")
    admin.get(reverse("admin:idp_application_act", args=(application.pk, "preflight")))
    assert handler.requests == []


@pytest.mark.parametrize("how", ["soap", "url"])
def test_an_application_that_speaks_saml_is_asked_where_it_hears(
    app: tuple[type[App], str], run: Callable[[Application], str], how: str
) -> None:
    handler, origin = app
    handler.answers = {"/slo": (500, {"Content-Type": "text/xml"})}
    said = {"audience": "https://wiki.example/saml", "logout": {how: f"{origin}/slo"}}
    html = run(make_application("Wiki", grant_types=[], saml=said))
    expected = {
        "soap": "refuses an envelope without a request (500)",
        "url": "answers 500 to a request without a message",
    }
    assert expected[how] in html
    [(method, _, headers, body)] = handler.requests
    assert method == {"soap": "POST", "url": "GET"}[how]
    assert ("SOAPAction" in headers, "<preflight/>" in body) == (how == "soap", how == "soap")
