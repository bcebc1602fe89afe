"""ssodata asked by a page on another site, with the cookies that a browser really sends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from tests.rps.running import curfew, page_application, sign_in, tenant_of
from tests.support.chromium import profile

pytestmark = pytest.mark.once
ASK = """async (url) => (await fetch(url, { credentials: "include" })).json()"""


class EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A page</title><body></body>")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The https issuer, and the origin of an application on another site."""
    folder = tmp_path_factory.mktemp("ssodata")
    certificate = trustme.CA().issue_cert("id.localhost")
    chain, key = folder / "chain.pem", folder / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(str(chain))
    certificate.private_key_pem.write_to_path(str(key))
    server = ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://app.localhost:{server.server_port}"
    with curfew(folder, tenant_of(page_application("app", origin, "/")), tls=(chain, key)) as issuer:
        yield issuer, origin
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("third_party_cookies", [True, False], ids=["allowed", "blocked"])
def test_where_third_party_cookies_are_blocked_it_says_no_and_fails_at_nothing(
    places: tuple[str, str], tmp_path: Path, third_party_cookies: bool
) -> None:
    """SSO-019. The browser keeps our cookie back, so there is no session to tell of, and no error either."""
    issuer, origin = places
    with profile(tmp_path / "profile", third_party_cookies=third_party_cookies) as context:
        page = context.new_page()
        page.goto(f"{issuer}login")
        sign_in(page)
        page.wait_for_url(issuer)
        page.goto(f"{origin}/")
        answer = page.evaluate(ASK, f"{issuer}user/ssodata")
    if third_party_cookies:
        assert answer["sso"] is True
    else:
        assert answer == {"sso": False}
