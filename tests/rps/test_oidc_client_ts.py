"""npm oidc-client-ts, unmodified: login with PKCE, silent renew in a frame, session management, RP-initiated logout."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from tests.rps.conftest import World
from tests.rps.running import HERE, MARY, sign_in
from tests.support.stack import ROOT

pytestmark = pytest.mark.once
SESSION = "OpenID Connect Session Management 1.0"
NAME = "oidc-client-ts"


@pytest.fixture(scope="module")
def places(world: World) -> Iterator[tuple[str, str]]:
    folder = world.folder / "page"
    folder.mkdir()
    shutil.copy(HERE / "page_app.html", folder / "index.html")
    for script in (HERE / "page_app.js", ROOT / "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"):
        shutil.copy(script, folder)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", world.ports[NAME]), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield world.issuer, world.url(NAME)
    server.shutdown()
    server.server_close()


def log_in(page: Page, issuer: str, base: str) -> None:
    page.goto(f"{base}/#issuer={issuer}")
    expect(page.locator("#status")).to_have_text("signed out")
    page.evaluate("void manager.signinRedirect()")
    page.wait_for_url(f"{issuer}login**")
    sign_in(page)
    expect(page.locator("#status")).to_have_text(f"signed in as {MARY}", timeout=20_000)


def test_login_gives_a_session_state(places: tuple[str, str], page: Page) -> None:
    log_in(page, *places)
    assert page.evaluate("manager.getUser().then((user) => user.session_state)")


def test_silent_renew_in_a_frame_gives_new_tokens_of_the_same_session(places: tuple[str, str], page: Page) -> None:
    log_in(page, *places)
    before, after = page.evaluate(
        "(async () => [await manager.getUser(), await manager.signinSilent()].map((u) => [u.id_token, u.profile.sid]))()"
    )
    assert before[0] != after[0]
    assert before[1] == after[1]


@pytest.mark.spec(SESSION, "3.1", "S3 unchanged while the session stands, changed after logout")
def test_the_page_learns_that_somebody_signed_out_in_another_tab(places: tuple[str, str], page: Page) -> None:
    issuer, base = places
    log_in(page, issuer, base)
    page.wait_for_timeout(2500)
    expect(page.locator("#signed-out-at-provider")).to_be_hidden()
    page.context.new_page().goto(f"{issuer}v2/logout")
    expect(page.locator("#signed-out-at-provider")).to_be_visible(timeout=20_000)


def test_its_own_logout_comes_back(places: tuple[str, str], page: Page) -> None:
    issuer, base = places
    log_in(page, issuer, base)
    with page.expect_navigation(url=f"{base}/", timeout=20_000):
        page.evaluate("void manager.signoutRedirect()")
    expect(page.locator("#status")).to_have_text("signed out")
    page.goto(f"{issuer}")
    assert page.context.request.get(f"{issuer}user/ssodata").json() == {"sso": False}
