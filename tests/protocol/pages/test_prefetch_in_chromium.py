"""What a real browser loads by itself, because a page has it as a link, a rule, an image or a frame, signs nobody out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.signals import request_finished, request_started
from playwright.sync_api import Browser, Page

from idp.crypto import keys
from sessions_app.models import SSOSession
from tests.protocol.rp_initiated_logout.test_oidc_logout import id_token
from tests.support.chromium import chromium
from tests.support.factories import make_application, make_session, make_user
from tests.support.pages import page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
WAYS = {
    "link": '<link rel="prefetch" href="{url}">',
    "prefetch rule": '<script type="speculationrules">{{"prefetch":[{{"urls":["{url}"],"eagerness":"immediate"}}]}}</script>',
    "prerender rule": '<script type="speculationrules">{{"prerender":[{{"urls":["{url}"],"eagerness":"immediate"}}]}}</script>',
    "image": '<img src="{url}" alt="">',
    "frame": '<iframe src="{url}"></iframe>',
    "script": '<script src="{url}"></script>',
    "stylesheet": '<link rel="stylesheet" href="{url}">',
}


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium(whole=True) as browser:
        yield browser


class Watch:
    """Requests for the logout endpoints that the server has answered, with the cookie that they brought."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.done = threading.Event()
        self._mine = threading.local()

    def started(self, environ: dict[str, str], **_: Any) -> None:
        self._mine.environ = environ

    def finished(self, **_: Any) -> None:
        environ = getattr(self._mine, "environ", {})
        if environ.get("PATH_INFO", "").endswith("/logout"):
            self.seen.append(environ)
            self.done.set()


@pytest.fixture
def watch() -> Iterator[Watch]:
    watching = Watch()
    request_started.connect(watching.started)
    request_finished.connect(watching.finished)
    yield watching
    request_started.disconnect(watching.started)
    request_finished.disconnect(watching.finished)


@pytest.fixture
def session(transactional_db: None) -> SSOSession:
    keys.ensure()
    return make_session(make_user(), make_application("App", client_id="app"))


def show(page: Page, origin: str, element: str) -> None:
    """A page of the same site, to which the browser brings the cookie."""
    html = f"<!doctype html><title>trap</title><body>{element}</body>"
    page.route("**/trap", lambda route: route.fulfill(content_type="text/html", body=html))
    page.goto(f"{origin}/trap")


@pytest.mark.parametrize("endpoint", ["/oidc/logout", "/v2/logout"])
@pytest.mark.parametrize("way", WAYS)
def test_what_a_browser_loads_by_itself_signs_nobody_out(
    chrome: Browser, live_server: Any, session: SSOSession, watch: Watch, way: str, endpoint: str
) -> None:
    query = {"id_token_hint": id_token(session)} if endpoint == "/oidc/logout" else {}
    url = f"{live_server.url}{endpoint}?{urlencode(query)}".rstrip("?")
    with page_of(chrome, live_server, session) as (page, _):
        show(page, live_server.url, WAYS[way].format(url=url))
        assert watch.done.wait(30), "the browser asked for nothing"
        assert session.raw_cookie in watch.seen[0].get("HTTP_COOKIE", "")  # type: ignore[attr-defined]
        session.refresh_from_db()
        assert session.ended_at is None
        page.goto(url)  # the person follows the link
        session.refresh_from_db()
        assert session.ended_at is not None
