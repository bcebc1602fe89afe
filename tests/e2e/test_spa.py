"""Single-page applications in a real browser: the unmodified npm auth0-spa-js, and examples/spa without any library."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from tests.e2e import mary
from tests.support.chromium import new_page
from tests.support.stack import ROOT, Stack

PAGES = Path(__file__).parent / "pages"
SDK = ROOT / "node_modules/@auth0/auth0-spa-js/dist/auth0-spa-js.production.js"
CONTRACT = "SDK contract"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: failures show in the page."""


@pytest.fixture(scope="module")
def sdk_page(stack: Stack, folder: Path) -> Iterator[str]:
    """The address of a page on the SDK, registered as two applications would be."""
    site = folder / "sdk-page"
    site.mkdir()
    shutil.copy(PAGES / "spa_sdk.html", site / "index.html")
    for script in (PAGES / "spa_sdk.js", SDK):
        shutil.copy(script, site)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://localhost:{server.server_port}"
    client = {
        "client_id": "auth0-spa-js",
        "name": "A page on auth0-spa-js",
        "app_type": "spa",
        "callbacks": [f"{origin}/"],
        "allowed_logout_urls": [f"{origin}/"],
        "web_origins": [origin],
    }
    tenant = folder / "sdk-page.yaml"
    tenant.write_text(yaml.safe_dump({"clients": [client]}))
    stack.run("apply", str(tenant))
    yield f"{origin}/"
    server.shutdown()
    server.server_close()


def log_in(page: Page, stack: Stack, address: str, **settings: str) -> None:
    """loginWithRedirect() and handleRedirectCallback() of the SDK, with Mary's password between them."""
    extra = "".join(f"&{name}={value}" for name, value in settings.items())
    page.goto(f"{address}#issuer={stack.issuer}{extra}")
    expect(page.locator("#status")).to_have_text("signed out")
    page.evaluate("void sdk.loginWithRedirect()")
    page.wait_for_url(f"{stack.issuer}login**")
    mary.type_password(page, stack)
    expect(page.locator("#status")).to_have_text(f"signed in as {mary.MARY}", timeout=20_000)


def call(page: Page, act: str) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(f"outcome(async () => {act})")
    return found


def sid(page: Page) -> str:
    found: str = page.evaluate("sdk.getIdTokenClaims().then((claims) => claims.sid)")
    return found


def api_status(page: Page, stack: Stack, access_token: str) -> int:
    """What /userinfo answers to a script of the page: CORS is part of it."""
    code = "([url, token]) => fetch(url, {headers: {Authorization: `Bearer ${token}`}}).then((r) => r.status)"
    found: int = page.evaluate(code, [f"{stack.issuer}userinfo", access_token])
    return found


@pytest.mark.spec(CONTRACT, "auth0-spa-js", "The unmodified SDK logs in by redirect and logs out at /v2/logout")
def test_the_sdk_logs_in_by_redirect_and_logs_out(page: Page, stack: Stack, sdk_page: str) -> None:
    log_in(page, stack, sdk_page)
    token = call(page, "sdk.getTokenSilently()")["value"]
    assert api_status(page, stack, token) == 200
    page.evaluate("void sdk.logout({logoutParams: {returnTo: location.origin + '/'}})")
    expect(page.locator("#status")).to_have_text("signed out", timeout=20_000)
    assert page.url == sdk_page
    assert api_status(page, stack, token) == 401
    assert call(page, "sdk.getTokenSilently()")["error"] == "login_required"


@pytest.mark.spec(CONTRACT, "auth0-spa-js", "Silent renew by a hidden frame and web_message keeps the session")
def test_the_sdk_renews_by_a_frame(page: Page, stack: Stack, sdk_page: str) -> None:
    log_in(page, stack, sdk_page)
    before, session = call(page, "sdk.getTokenSilently()")["value"], sid(page)
    after = call(page, "sdk.getTokenSilently({cacheMode: 'off'})")["value"]
    assert after != before
    assert sid(page) == session
    assert api_status(page, stack, after) == 200
    page.reload()  # the tokens were in memory: the SDK asks in a frame again
    expect(page.locator("#status")).to_have_text(f"signed in as {mary.MARY}", timeout=20_000)
    assert sid(page) == session


@pytest.mark.spec(CONTRACT, "auth0-spa-js", "Silent login joins a session that another application began")
def test_the_sdk_joins_the_session_of_another_app_and_hears_of_its_end(page: Page, stack: Stack, sdk_page: str) -> None:
    mary.sign_in(page, stack, mary.TIMESHEET)
    page.goto(f"{sdk_page}#issuer={stack.issuer}")
    token = call(page, "sdk.getTokenSilently()")["value"]
    assert api_status(page, stack, token) == 200
    page.goto(stack.app(mary.TIMESHEET))
    mary.click_sign_out(page)
    mary.wait_for_sign_out_page(page)
    page.goto(sdk_page)
    assert api_status(page, stack, token) == 401
    assert call(page, "sdk.getTokenSilently()")["error"] == "login_required"


@pytest.mark.spec(CONTRACT, "auth0-spa-js", "The popup that the SDK opens keeps its opener through the login page")
def test_the_sdk_logs_in_by_popup(page: Page, stack: Stack, sdk_page: str) -> None:
    page.goto(f"{sdk_page}#issuer={stack.issuer}")
    expect(page.locator("#status")).to_have_text("signed out")
    with page.expect_popup() as opened:
        page.evaluate("window.done = outcome(() => sdk.loginWithPopup()); void 0")
    mary.type_password(opened.value, stack)
    assert page.evaluate("window.done") == {"value": None}
    assert page.evaluate("sdk.getUser().then((user) => user.email)") == mary.MARY


@pytest.mark.spec(CONTRACT, "auth0-spa-js", "Renew by rotating refresh token, and revokeRefreshToken()")
def test_the_sdk_renews_by_refresh_token_and_revokes_it(page: Page, stack: Stack, sdk_page: str) -> None:
    log_in(page, stack, sdk_page, refresh="yes", cache="localstorage")
    session = sid(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if "oauth/token" in request.url else None)
    tokens = [call(page, "sdk.getTokenSilently({cacheMode: 'off'})")["value"] for _ in range(3)]
    assert len(set(tokens)) == 3
    assert len([body for body in asked if "grant_type=refresh_token" in body or '"refresh_token"' in body]) == 3
    assert sid(page) == session
    with page.expect_response(f"{stack.issuer}oauth/revoke") as revoked:
        assert call(page, "sdk.revokeRefreshToken()") == {"value": None}
    assert revoked.value.status == 200
    assert api_status(page, stack, tokens[-1]) == 401


@pytest.mark.spec(CONTRACT, "auth0-spa-js", "An offline token outlives a logout, as at Auth0, until it is revoked")
def test_a_refresh_token_of_the_sdk_is_an_offline_one(page: Page, stack: Stack, sdk_page: str) -> None:
    """It asks for offline_access; a logout by another app leaves it, a refusal makes the SDK fall back to the frame."""
    log_in(page, stack, sdk_page, refresh="yes", cache="localstorage")
    page.goto(f"{stack.issuer}v2/logout")
    page.goto(sdk_page)
    expect(page.locator("#status")).to_have_text(f"signed in as {mary.MARY}")
    assert call(page, "sdk.getTokenSilently({cacheMode: 'off'})")["value"]
    stored = page.evaluate(
        "Object.values(localStorage).map(JSON.parse).find((v) => v.body?.refresh_token).body.refresh_token"
    )
    body = {"client_id": "auth0-spa-js", "token": stored}
    assert page.context.request.post(f"{stack.issuer}oauth/revoke", data=body).status == 200
    assert "refresh token" in call(page, "sdk.getTokenSilently({cacheMode: 'off'})")["message"]


@pytest.mark.spec(CONTRACT, "ssodata", "Where third-party cookies are blocked the answer is sso: false, not an error")
def test_a_page_in_a_frame_of_another_site_sees_nobody(page: Page, stack: Stack, sdk_page: str) -> None:
    """`127.0.0.1` is another site than `localhost`, so the frame's requests carry no cookie of ours."""
    mary.sign_in(page, stack)
    ask = "(url) => fetch(url, {credentials: 'include'}).then((r) => r.json())"
    page.goto(sdk_page)
    assert page.evaluate(ask, f"{stack.issuer}user/ssodata")["sso"] is True
    page.goto(sdk_page.replace("localhost", "127.0.0.1"))
    page.evaluate(
        "(url) => { document.body.append(Object.assign(document.createElement('iframe'), {src: url})); }", sdk_page
    )
    page.wait_for_function("document.querySelector('iframe')")
    frame = page.frames[-1]
    frame.wait_for_load_state()
    assert frame.url == sdk_page
    assert frame.evaluate(ask, f"{stack.issuer}user/ssodata") == {"sso": False}


@pytest.fixture(scope="module")
def example(stack: Stack) -> Iterator[str]:
    with stack.example("spa", "SPA", 8005) as address:
        yield address


def sign_in_at_example(page: Page, stack: Stack, example: str) -> None:
    page.goto(example)
    expect(page.locator("#status")).to_have_text("You are not signed in.")
    page.get_by_role("button", name="Sign in with Fabrikam").click()
    page.wait_for_url(f"{stack.issuer}login**")
    mary.type_password(page, stack)
    expect(page.locator("#status")).to_have_text(f"Signed in as {mary.MARY}", timeout=20_000)
    assert page.url == example


def test_the_example_signs_in_calls_the_api_renews_and_signs_out(page: Page, stack: Stack, example: str) -> None:
    sign_in_at_example(page, stack, example)
    page.get_by_role("button", name="Ask the API who I am").click()
    expect(page.locator("#answer")).to_have_text(f"The API says: {mary.MARY}")
    page.get_by_role("button", name="Renew the token").click()
    expect(page.locator("#answer")).to_have_text("Token renewed.")
    page.reload()
    expect(page.locator("#status")).to_have_text(f"Signed in as {mary.MARY}")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(example)
    expect(page.locator("#status")).to_have_text("You are not signed in.")


@pytest.mark.parametrize("button", ["Ask the API who I am", "Renew the token"])
def test_the_example_loses_access_when_mary_signs_out_elsewhere(
    page: Page, stack: Stack, example: str, button: str
) -> None:
    sign_in_at_example(page, stack, example)
    page.context.new_page().goto(f"{stack.issuer}v2/logout")
    page.get_by_role("button", name=button).click()
    expect(page.locator("#answer")).to_have_text("Your session has ended: you were signed out.")
    expect(page.locator("#status")).to_have_text("You are not signed in.")


def test_the_example_refuses_an_answer_that_it_did_not_ask_for(browser: Browser, stack: Stack, example: str) -> None:
    with new_page(browser) as page:
        page.goto(f"{example}?code=x&state=y&iss={stack.issuer}")
        expect(page.locator("#answer")).to_contain_text("not our request")
        expect(page.locator("#status")).to_have_text("You are not signed in.")
