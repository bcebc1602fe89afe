"""A real Chromium, with application and provider on different sites, third-party cookies allowed and blocked.

Every name under localhost is a site of its own and trusted by browsers; the provider is https, so its cookies are
`SameSite=None; Secure` as in production.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.rps.running import curfew, sign_in, tenant_of, web_application
from tests.support.chromium import profile, visited
from tests.support.sites import certificate_for, empty_site

pytestmark = pytest.mark.once
DOCUMENT = "OpenID Connect Session Management 1.0"
NAME = "watcher"
# Asks the frame of the provider once; "silence" when no answer comes.
ASK = """([url, message, secondsOfPatience]) => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  window.addEventListener("message", (event) => { if (event.source === frame.contentWindow) resolve(event.data); });
  frame.onload = () => frame.contentWindow.postMessage(message, "*");
  frame.src = url;
  document.body.append(frame);
  setTimeout(() => resolve("silence"), secondsOfPatience * 1000);
})"""


@dataclass(frozen=True, slots=True)
class Places:
    issuer: str
    port: int

    def site(self, host: str) -> str:
        return f"http://{host}.localhost:{self.port}"

    @property
    def frame(self) -> str:
        return f"{self.issuer}oidc/check-session"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    folder = tmp_path_factory.mktemp("session")
    with empty_site() as port:
        application = web_application(NAME, f"http://rp.localhost:{port}", "/callback")
        with curfew(folder, tenant_of(application), tls=certificate_for("id.localhost", folder)) as issuer:
            yield Places(issuer, port)


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A profile that keeps third-party cookies."""
    with profile(tmp_path_factory.mktemp("profile"), third_party_cookies=True) as running:
        yield running


def log_in(context: BrowserContext, places: Places) -> tuple[Page, str]:
    """A page of the application after its sign-in, and the session_state that it got."""
    page = context.new_page()
    request = {
        "client_id": NAME,
        "redirect_uri": f"{places.site('rp')}/callback",
        "response_type": "code",
        "scope": "openid",
        "state": "x",
    }
    page.goto(f"{places.issuer}authorize?{urlencode(request)}")
    sign_in(page)
    page.wait_for_url(f"{places.site('rp')}/callback**")
    return page, parse_qs(urlsplit(page.url).query)["session_state"][0]


def ask(page: Page, places: Places, message: object, patience: float = 15) -> str:
    return str(page.evaluate(ASK, [places.frame, message, patience]))


@pytest.mark.spec(DOCUMENT, "3.1", "S3 unchanged while the session stands, changed after logout")
@pytest.mark.spec(DOCUMENT, "3.2", "S4 the browser state changes on sign-in and sign-out")
def test_a_page_on_another_site_hears_unchanged_and_after_logout_changed(
    places: Places, allowed: BrowserContext
) -> None:
    with visited(allowed) as context:
        page, session_state = log_in(context, places)
        assert ask(page, places, f"{NAME} {session_state}") == "unchanged"
        context.new_page().goto(f"{places.issuer}v2/logout")
        assert ask(page, places, f"{NAME} {session_state}") == "changed"
        again, newer = log_in(context, places)
        assert ask(again, places, f"{NAME} {newer}") == "unchanged"
        assert ask(page, places, f"{NAME} {session_state}") == "changed"


# A page that holds the frame of the application and that of the provider side by side; gives what the first one heard.
SIBLINGS = """([opUrl, rpUrl, message, secondsOfPatience]) => new Promise((resolve) => {
  const frame = (name, url) => new Promise((loaded) => {
    const element = document.createElement("iframe");
    element.name = name;
    element.onload = () => loaded(element);
    element.src = url;
    document.body.append(element);
  });
  Promise.all([frame("op", opUrl), frame("rp", rpUrl)]).then(([, rp]) => {
    window.addEventListener("message", (event) => { if (event.source === rp.contentWindow) resolve(event.data); });
    rp.contentWindow.postMessage({ ask: message }, "*");
    setTimeout(() => resolve("silence"), secondsOfPatience * 1000);
  });
})"""
# What the application's own frame does: section 3.1 has its code, which finds the other frame by name.
RP_FRAME = """
window.addEventListener("message", (event) => {
  if (event.source === parent) parent.frames["op"].postMessage(event.data.ask, "*");
  else parent.postMessage(event.data, "*");
});
"""


def ask_from_a_sibling(page: Page, places: Places, message: str, *, rp: str, patience: float = 15) -> str:
    """What a frame of the site `rp` hears that stands beside the provider's, on the page that is open."""
    html = f"<!doctype html><title>RP frame</title><body><script>{RP_FRAME}</script></body>"
    url = f"{places.site(rp)}/rp-frame"
    page.route(url, lambda route: route.fulfill(content_type="text/html", body=html))
    page.goto(f"{places.site('rp')}/")
    return str(page.evaluate(SIBLINGS, [places.frame, url, message, patience]))


@pytest.mark.spec(DOCUMENT, "3.1", "S3 the application asks from a frame of its own beside that of the provider")
def test_a_frame_of_the_application_beside_ours_hears_unchanged_and_after_logout_changed(
    places: Places, allowed: BrowserContext
) -> None:
    with visited(allowed) as context:
        page, session_state = log_in(context, places)
        message = f"{NAME} {session_state}"
        assert ask_from_a_sibling(page, places, message, rp="rp") == "unchanged"
        assert ask_from_a_sibling(page, places, f"{NAME} nonsense", rp="rp") == "error"
        context.new_page().goto(f"{places.issuer}v2/logout")
        assert ask_from_a_sibling(page, places, message, rp="rp") == "changed"


@pytest.mark.spec(DOCUMENT, "3.3", "S3 a caller of another origin than the parent frame's is not answered")
def test_a_frame_of_another_site_on_the_page_of_the_application_hears_nothing(
    places: Places, allowed: BrowserContext
) -> None:
    with visited(allowed) as context:
        page, session_state = log_in(context, places)
        assert ask_from_a_sibling(page, places, f"{NAME} {session_state}", rp="evil", patience=3) == "silence"


@pytest.mark.spec(DOCUMENT, "3.3", "S3 the origin of the caller is checked; malformed messages are answered with error")
def test_only_the_page_that_the_value_was_made_for_hears_unchanged(places: Places, allowed: BrowserContext) -> None:
    with visited(allowed) as context:
        page, session_state = log_in(context, places)
        message = f"{NAME} {session_state}"
        assert ask(page, places, f"other {session_state}") == "changed"
        for malformed in ("", NAME, f"{NAME} ", f"{NAME} x.y", f" {session_state}", {"a": 1}, None, 7):
            assert ask(page, places, malformed) == "error", malformed
        thief = context.new_page()
        thief.goto(f"{places.site('evil')}/")
        assert ask(thief, places, message) == "changed"
        assert _ask_from_a_sandbox(page, places, message) == "silence"
        assert ask(page, places, message) == "unchanged"


def _ask_from_a_sandbox(page: Page, places: Places, message: str) -> str:
    """The same question from a frame that has no origin."""
    script = f"({ASK})({json.dumps([places.frame, message, 3])}).then((answer) => parent.postMessage(answer, '*'))"
    document = f"<!doctype html><body><script>{script}</script></body>"
    return str(
        page.evaluate(
            """(html) => new Promise((resolve) => {
              const frame = document.createElement("iframe");
              frame.sandbox = "allow-scripts";
              frame.srcdoc = html;
              window.addEventListener("message", (event) => {
                if (event.source === frame.contentWindow) resolve(event.data);
              });
              document.body.append(frame);
            })""",
            document,
        )
    )


@pytest.mark.spec(DOCUMENT, "5.1", "S5 a browser that hides our cookies hears error, which never makes it ask again")
def test_where_third_party_cookies_are_blocked_the_answer_is_error(places: Places, tmp_path: Path) -> None:
    with profile(tmp_path / "profile", third_party_cookies=False) as context:
        page, session_state = log_in(context, places)
        assert ask(page, places, f"{NAME} {session_state}") == "error"
        context.new_page().goto(f"{places.issuer}v2/logout")
        assert ask(page, places, f"{NAME} {session_state}") == "error"
