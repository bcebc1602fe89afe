"""What was on its way when the session ended: codes, slow requests, old cookies, the pages behind the back button."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client, RequestFactory
from django.utils import timezone

from idp.http.requests import RequestFacts
from sessions_app.models import SessionClient, SSOSession
from sessions_app.session import binding, lifecycle
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import answer_of, authorize, code_for, decode, exchange, tokens_for
from tests.support.sign_in import session_of, sign_in_by_form

pytestmark = pytest.mark.django_db


def test_a_code_from_before_is_worth_nothing():
    app = make_application()
    session = make_session(make_user(), app)
    client = browser(session)
    code = code_for(client, app)
    assert client.get("/v2/logout").status_code == 200
    answer = exchange(app, code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_slow_request_that_began_before_brings_nothing_back():
    """It holds the session's row and its flow state from before, and writes both afterwards."""
    app = make_application()
    session = make_session(make_user())
    client = browser(session)
    authorize(client, app, scope="openid", prompt="login")
    flow = client.session
    flow["a step"] = "of a sign-in"
    flow.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = flow.session_key
    request = RequestFactory().get("/")
    request.COOKIES[settings.SSO_COOKIE_NAME] = session.raw_cookie
    slow, slow_flow = binding.load(request, timezone.now()), SessionStore(flow.session_key)
    assert slow_flow["a step"]

    client.get("/v2/logout")

    facts, later = RequestFacts("192.0.2.1", "tests"), timezone.now() + lifecycle.TOUCH_EVERY * 2
    lifecycle.touch(slow, facts, later)
    assert not lifecycle.join(slow, app, facts=facts, at=later)
    slow_flow["a step"] = "too late"
    with pytest.raises(UpdateError):
        slow_flow.save()
    session.refresh_from_db()
    assert session.ended_at is not None
    assert binding.load(request, timezone.now()) is None
    assert not SessionClient.objects.filter(session=session).exists()
    assert not SessionStore(flow.session_key).load()


@pytest.mark.parametrize("survivor", ["nothing", "the old cookie", "the flow cookie from before the sign-in"])
def test_the_next_sign_in_of_this_browser_is_another_session(survivor):
    make_user()
    app = make_application()
    client = Client()
    client.get("/login")
    flow = client.cookies.get(settings.SESSION_COOKIE_NAME)
    sign_in_by_form(client)
    old, cookie = session_of(client), client.cookies[settings.SSO_COOKIE_NAME].value
    old_tokens = tokens_for(client, app)
    client.get("/v2/logout")
    if survivor == "the old cookie":
        client.cookies[settings.SSO_COOKIE_NAME] = cookie
    if survivor.startswith("the flow") and flow is not None:
        client.cookies[settings.SESSION_COOKIE_NAME] = flow.value
    assert answer_of(authorize(client, app, prompt="none"))["error"] == "login_required"
    sign_in_by_form(client)
    new = session_of(client)
    assert new.pk != old.pk
    assert new.sid != old.sid
    assert client.cookies[settings.SSO_COOKIE_NAME].value != cookie
    assert new.cookie_hash != old.cookie_hash
    assert SSOSession.objects.filter(ended_at=None).get() == new
    claims = decode(tokens_for(client, app)["id_token"])
    assert claims["sid"] == new.sid != decode(old_tokens["id_token"])["sid"]


def test_neither_cache_nor_history_keeps_a_page_of_the_person():
    """The browser's side is in tests/protocol/frontchannel."""
    client = browser(make_session(make_user(), make_application()))
    assert client.get("/")["Cache-Control"] == "no-store"
    answer = client.get("/v2/logout")
    assert answer["Cache-Control"] == "no-store"
    assert "Clear-Site-Data" not in answer  # "cache" took Chromium up to 40 s; nothing of a person is in a cache anyway
