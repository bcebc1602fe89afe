"""The short way of endpoints for programs past the middleware of pages."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import get_resolver

from idp.middleware import _programs
from tests.support.factories import browser, make_session, make_user

pytestmark = pytest.mark.django_db
PATHS = {
    "/theme.css",
    "/.well-known/oauth-authorization-server",
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/oauth/device/code",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/token",
    "/userinfo",
}


def test_no_page_is_among_them():
    assert set(_programs(get_resolver())) == PATHS


@pytest.mark.parametrize("path", sorted(PATHS))
def test_their_answers_have_the_headers_of_every_answer(path):
    answer = Client().get(path)
    headers = answer.headers
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] in ("no-store", "no-cache", "public, max-age=600")
    assert int(headers["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_host_that_is_not_ours_is_refused(path):
    assert Client(headers={"host": "evil.example"}).get(path).status_code == 400


def test_a_cookie_that_travels_along_is_not_looked_at(django_assert_num_queries):
    client = browser(make_session(make_user()))
    with django_assert_num_queries(0):
        response = client.post("/oauth/token", {"grant_type": "x"}, content_type="text/plain")
    assert response.status_code == 415
    assert "Cookie" not in response.headers["Vary"]


def test_an_error_of_theirs_is_answered_as_everywhere(monkeypatch):
    monkeypatch.setattr("sessions_app.views.token.body_params", lambda _: 1 / 0)
    response = Client(raise_request_exception=False).post("/oauth/token")
    assert response.status_code == 500
    assert response.json()["error"] == "server_error"
