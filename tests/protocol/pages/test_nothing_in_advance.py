"""What a browser asks for in advance (prefetch, prerender, preview) is not given: no page of ours acts before it is opened."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import Resolver404, resolve

from idp.models import User
from sessions_app.models import SSOSession
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.site_map import Rows, addresses

pytestmark = [pytest.mark.django_db, pytest.mark.once]
HEADERS = [
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Sec-Purpose": "prefetch;anonymous-client-ip", "Sec-Fetch-Dest": "empty"},
    {"Purpose": "prefetch"},
    {"X-Purpose": "preview"},
    {"X-Moz": "prefetch"},
]


def _is_for_programs(path: str) -> bool:
    try:
        return bool(getattr(resolve(path.partition("?")[0]).func, "for_programs", False))
    except Resolver404:
        return False


def test_no_address_of_the_site_does_anything_for_it(
    person_in: Callable[[str], User | None], furnished: Callable[[], Rows]
) -> None:
    """Every address that answers GET, read from the URL resolver, for somebody who may see all of them."""
    rows = furnished()
    client = browser(make_session(person_in("superuser")))  # type: ignore[arg-type]
    for path in addresses(rows):
        if _is_for_programs(path):  # they read no cookie, and their GETs only read
            continue
        with CaptureQueriesContext(connection) as statements:
            answer = client.get(path, headers={"Sec-Purpose": "prefetch", "Accept": "text/html"})
        assert (path, answer.status_code) == (path, 403)
        assert (path, len(statements)) == (path, 0)
        assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("path", ["/v2/logout", "/logout", "/oidc/logout", "/login", "/authorize"])
def test_whatever_a_browser_calls_it_nobody_is_signed_out(path: str, headers: dict[str, str]) -> None:
    app = make_application("App", client_id="app", post_logout_redirect_uris="https://app.example/out")
    session: SSOSession = make_session(make_user(), app)
    client = browser(session)
    query = {"client_id": "app", "logout_hint": session.sid}
    assert client.get(path, query, headers={"Sec-Fetch-Dest": "document", **headers}).status_code == 403
    assert client.head(path, query, headers=headers).status_code == 403
    session.refresh_from_db()
    assert session.ended_at is None


def test_what_was_refused_in_advance_is_done_when_it_is_opened() -> None:
    session = make_session(make_user())
    client = browser(session)
    client.get("/v2/logout", headers={"Sec-Purpose": "prefetch"})
    client.get("/v2/logout", headers={"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"})
    session.refresh_from_db()
    assert session.ended_at is not None


def test_static_files_and_discovery_may_be_fetched_in_advance() -> None:
    client = Client()
    assert client.get("/.well-known/openid-configuration", headers={"Sec-Purpose": "prefetch"}).status_code == 200
