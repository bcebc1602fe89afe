"""The odd addresses of the matchers' table, sent to the two endpoints: no redirect, no other header, no link, no delay."""

from __future__ import annotations

import re
import time
from urllib.parse import quote

import pytest

from tests.support.factories import browser, make_application, make_session, make_user
from tests.unit.test_redirect_matchers import ODD, OUT

pytestmark = pytest.mark.django_db
ENDPOINTS = {"/v2/logout": "returnTo", "/oidc/logout": "post_logout_redirect_uri"}


@pytest.mark.parametrize("path", ENDPOINTS)
def test_no_odd_address_is_followed_or_shown_as_a_link(path):
    """Over HTTP."""
    app = make_application("App", client_id="app", post_logout_redirect_uris=OUT)
    session = make_session(make_user(), app)
    client = browser(session)
    sendable = [row for row in ODD if row[0] and "\ud800" not in row[0]]
    refused = [url for url, auth0, exact in sendable if not (auth0 if path == "/v2/logout" else exact)]
    assert len(refused) > 50
    client.get(path, {"client_id": "nobody"})  # what is loaded once is loaded
    for url in refused:
        query = f"client_id=app&{ENDPOINTS[path]}={quote(url, safe='')}"
        began = time.perf_counter()
        answer = client.get(f"{path}?{query}")
        took = time.perf_counter() - began
        assert answer.status_code == 400, url
        assert not {"Location", "Refresh"} & set(answer.headers), url
        assert not answer.cookies, url
        assert set(re.findall(r'href="([^"]*)"', answer.content.decode())) <= OUR_LINKS, url
        assert took < 1, url
    session.refresh_from_db()
    assert session.ended_at is None


OUR_LINKS = {"#content", "/static/css/curfew.css", "/static/icon.svg", "/", "/oidc/logout"}


def test_a_registered_address_is_followed():
    """The positive control."""
    app = make_application("App", client_id="app", post_logout_redirect_uris=OUT)
    client = browser(make_session(make_user(), app))
    assert client.get("/v2/logout", {"client_id": "app", "returnTo": OUT})["Location"] == OUT
