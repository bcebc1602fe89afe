"""The cookie and the page, without a browser."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from idp.models import TenantSettings
from idp.tenants import configuration
from sessions_app.protocol.session_state import session_state
from sessions_app.session import browser_state
from tests.support.factories import browser, make_session, make_user

pytestmark = pytest.mark.django_db
DOCUMENT = "OpenID Connect Session Management 1.0"
REDIRECT = "https://rp.example/cb"


@pytest.fixture
def tenant() -> TenantSettings:
    row = configuration.load_tenant()
    row.session_management = True
    row.save()
    return row


def ask(tenant: TenantSettings, cookie: str | None = None) -> tuple[str | None, HttpResponse]:
    request = RequestFactory().get("/authorize")
    if cookie is not None:
        request.COOKIES[settings.BROWSER_STATE_COOKIE_NAME] = cookie
    response = HttpResponse()
    return browser_state.state_for(request, response, tenant, client_id="app", redirect_uri=REDIRECT), response


@pytest.mark.spec(DOCUMENT, "3.2", "S4 the browser state is readable by scripts, so it must not identify anybody")
def test_a_browser_without_a_state_gets_a_random_one_that_scripts_may_read(tenant: TenantSettings) -> None:
    value, response = ask(tenant)
    cookie = response.cookies[settings.BROWSER_STATE_COOKIE_NAME]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", cookie.value)
    assert not cookie["httponly"]
    assert value is not None
    assert cookie.value not in value
    salt = value.split(".")[1]
    assert value == session_state(client_id="app", redirect_uri=REDIRECT, browser_state=cookie.value, salt=salt)


@pytest.mark.spec(DOCUMENT, "3.2", "S4 the browser state changes on sign-in, sign-out and change of user only")
def test_a_browser_with_a_state_keeps_it_and_each_answer_is_salted_anew(tenant: TenantSettings) -> None:
    first, response = ask(tenant, "b" * 43)
    second, _ = ask(tenant, "b" * 43)
    assert not response.cookies
    assert first != second


@pytest.mark.parametrize("planted", ["", "x", "a b" * 20, "é" * 43, "b" * 44])
def test_a_value_that_is_not_ours_is_replaced(tenant: TenantSettings, planted: str) -> None:
    _, response = ask(tenant, planted)
    assert settings.BROWSER_STATE_COOKIE_NAME in response.cookies


def test_an_application_without_a_web_page_gets_neither_value_nor_cookie(tenant: TenantSettings) -> None:
    request, response = RequestFactory().get("/authorize"), HttpResponse()
    assert browser_state.state_for(request, response, tenant, client_id="app", redirect_uri="app:/cb") is None
    assert not response.cookies


def test_nothing_happens_while_it_is_off() -> None:
    tenant = configuration.load_tenant()
    value, response = ask(tenant)
    browser_state.renew(response, tenant)
    assert value is None
    assert not response.cookies


@pytest.mark.spec(DOCUMENT, "3.2", "S4 the browser state changes on sign-in, sign-out and change of user only")
def test_every_renewal_gives_another_value(tenant: TenantSettings) -> None:
    values = set()
    for _ in range(3):
        response = HttpResponse()
        browser_state.renew(response, tenant)
        values.add(response.cookies[settings.BROWSER_STATE_COOKIE_NAME].value)
    assert len(values) == 3


def test_the_page_is_not_there_while_it_is_off(client: Client) -> None:
    assert client.get("/oidc/check-session").status_code == 404


@pytest.mark.spec(DOCUMENT, "3.3", "S3 the OP iframe may be framed by every relying party")
def test_the_page_may_be_framed_by_anyone_and_sets_no_cookie(tenant: TenantSettings, client: Client) -> None:
    response = client.get("/oidc/check-session")
    assert response.status_code == 200
    assert "X-Frame-Options" not in response.headers
    assert "frame-ancestors *" in response.headers["Content-Security-Policy"]
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert not response.cookies


def test_the_page_names_the_cookie_but_never_shows_its_value(tenant: TenantSettings, client: Client) -> None:
    client.cookies[settings.BROWSER_STATE_COOKIE_NAME] = "b" * 43
    page = client.get("/oidc/check-session").content.decode()
    assert settings.BROWSER_STATE_COOKIE_NAME in page
    assert "b" * 43 not in page


def test_the_page_is_only_read(tenant: TenantSettings, client: Client) -> None:
    assert client.post("/oidc/check-session").status_code == 405


@pytest.mark.spec(DOCUMENT, "3.2", "S4 the browser state changes on sign-out, also one that this browser did not see")
def test_a_session_that_ended_elsewhere_changes_the_state_when_the_page_is_opened(tenant: TenantSettings) -> None:
    session = make_session(make_user())
    client = browser(session)
    assert not client.get("/oidc/check-session").cookies
    session.ended_at, session.end_initiator = timezone.now(), "session-revoked"
    session.save()
    assert list(client.get("/oidc/check-session").cookies) == [settings.BROWSER_STATE_COOKIE_NAME]


def test_watching_a_session_does_not_keep_it_alive(tenant: TenantSettings) -> None:
    seen = timezone.now() - timedelta(hours=1)
    session = make_session(make_user(), last_seen_at=seen)
    browser(session).get("/oidc/check-session")
    session.refresh_from_db()
    assert session.last_seen_at == seen
