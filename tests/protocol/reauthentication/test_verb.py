"""Require a new sign-in: a state of sessions, which ends nothing and which only a proof takes away."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from logout_app.ending.end import Selection
from logout_app.models import LogoutEvent
from logout_app.reauthentication.require import require_reauthentication
from sessions_app.models import SessionEvent, SSOSession
from tests.protocol.gtr.support import lives
from tests.support.factories import PASSWORD, browser, make_session, make_user
from tests.support.oauth import (
    answer_of,
    authorize,
    code_for,
    exchange,
    next_of,
    refresh,
    tokens_for,
    userinfo,
)
from tests.support.upstream import sign_in

pytestmark = pytest.mark.django_db
IPSIE = "IPSIE levels, February 2026"
OFFLINE = "openid offline_access"


@pytest.fixture
def mary():
    return make_user()


def require(selection, **more):
    return require_reauthentication(selection, actor="admin:boss", at=timezone.now(), **more)


def is_stale(session):
    return SSOSession.objects.get(pk=session.pk).is_stale


def prove_again(client):
    return client.post("/account/reauthenticate/?next=/", {"password": PASSWORD})


@pytest.mark.spec(IPSIE, "SL2", "On request the person must authenticate again before any further action")
def test_the_next_authorize_asks_for_a_sign_in_and_a_silent_one_gets_login_required(mary, app):
    session = make_session(mary, app)
    client = browser(session)
    assert "code" in answer_of(authorize(client, app))
    assert require(Selection.session(session.pk)) == [session.pk]
    assert answer_of(authorize(client, app, prompt="none"))["error"] == "login_required"
    back = next_of(authorize(client, app))
    assert next_of(client.get(back))  # going back without a proof leads to the login page again
    assert lives(session)
    assert LogoutEvent.objects.count() == 0
    prove_again(client)
    assert not is_stale(session)
    assert "code" in answer_of(client.get(back))
    assert "code" in answer_of(authorize(client, app, prompt="none"))


def test_signing_in_on_the_page_that_authorize_leads_to_makes_the_session_fresh(mary, app):
    session = make_session(mary, app)
    client = browser(session)
    require(Selection.session(session.pk))
    back = next_of(authorize(client, app))
    response = client.post(f"/login?next={back}", {"next": back, "username": mary.email, "password": PASSWORD})
    assert response.status_code in (302, 303), response.content
    assert "code" in answer_of(authorize(client, app, prompt="none"))
    assert SSOSession.objects.filter(ended_at=None).count() == 1


def test_refresh_of_session_bound_tokens_waits_for_the_proof_and_offline_ones_stay(mary, app):
    session = make_session(mary, app)
    bound, offline = tokens_for(session, app), tokens_for(session, app, scope=OFFLINE)
    require(Selection.user(mary.pk))
    refused = refresh(app, bound["refresh_token"])
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_grant"
    assert "sign in again" in refused.json()["error_description"]
    assert refresh(app, offline["refresh_token"]).status_code == 200
    assert userinfo(bound["access_token"]).status_code == 200  # until it expires
    prove_again(browser(session))
    assert refresh(app, bound["refresh_token"]).status_code == 200


def test_a_code_that_was_given_before_opens_nothing_any_more(mary, app):
    session = make_session(mary, app)
    code = code_for(session, app)
    require(Selection.session(session.pk))
    assert exchange(app, code).json()["error"] == "invalid_grant"


def test_our_own_pages_lead_to_the_proof_first_and_signing_out_needs_none(mary):
    session = make_session(mary)
    client = browser(session)
    require(Selection.session(session.pk))
    response = client.get("/account/sessions", {"a": "b"})
    assert response.status_code == 303
    assert response.headers["Location"] == "/account/reauthenticate/?next=%2Faccount%2Fsessions%3Fa%3Db"
    assert client.get("/activate").status_code == 303
    assert client.get(response.headers["Location"]).status_code == 200
    client.get("/v2/logout")
    assert not lives(session)


def test_who_came_from_upstream_is_sent_there_to_prove_it_and_not_silently(acme):
    client = Client()
    sign_in(client)
    session = SSOSession.objects.get()
    SSOSession.objects.update(auth_time=timezone.now() - timedelta(minutes=5))
    require(Selection.session(session.pk))
    sign_in(client)
    assert acme.wishes[-1].force


def test_what_was_proved_after_the_moment_stays_fresh(mary):
    now = timezone.now()
    before, after = (make_session(mary, auth_time=now - timedelta(minutes=minutes)) for minutes in (30, 10))
    assert require(Selection.user(mary.pk), until=now - timedelta(minutes=20)) == [before.pk]
    assert is_stale(before)
    assert not is_stale(after)


def test_it_is_written_down_once_for_each_session_that_became_stale(mary):
    sessions = [make_session(mary), make_session(mary)]
    ended = make_session(mary)
    browser(ended).get("/v2/logout")
    others = make_session(make_user("ben@fabrikamcorp.com"))
    moment = timezone.now()
    for _ in range(2):
        require(Selection.user(mary.pk), until=moment)
    lines = SessionEvent.objects.filter(type="reauthentication_required")
    assert sorted(line.sid for line in lines) == sorted(session.sid for session in sessions)
    assert {line.actor for line in lines} == {"admin:boss"}
    assert not is_stale(others)


@pytest.mark.parametrize("whose", ["session", "person", "connection"])
def test_an_administrator_does_it_to_a_session_a_person_or_a_connection(mary, whose):
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    admin, session = browser(make_session(boss)), make_session(mary)
    model, pk = {
        "session": ("sessions_app_ssosession", session.pk),
        "person": ("idp_user", mary.pk),
        "connection": ("idp_connection", session.connection_id),
    }[whose]
    url = reverse(f"admin:{model}_act", args=(pk, "require-sign-in"))
    assert "nothing new is opened" in admin.get(url).content.decode()
    assert urlsplit(admin.post(url).headers["Location"]).path.startswith("/admin/")
    assert is_stale(session)
    assert lives(session)
    state = browser(make_session(boss)).get(reverse("admin:sessions_app_ssosession_change", args=(session.pk,)))
    assert "must be proved again" in state.content.decode()
    assert "Reauthentication required" in state.content.decode()
