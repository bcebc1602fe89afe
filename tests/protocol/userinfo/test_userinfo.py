"""GET and POST /userinfo (OpenID Connect Core section 5.3)."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.crypto import keys
from idp.models import ResourceServer, User
from idp.tenants import configuration
from sessions_app.models import SSOSession
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import decode, header_of, post_form, refresh, tokens_for, userinfo

pytestmark = pytest.mark.django_db


@pytest.fixture
def app():
    return make_application(web_origins=["https://jwt-debugger.example"])


@pytest.fixture
def session():
    return make_session(make_user())


@pytest.mark.spec("OpenID Connect Core 1.0", "5.4", "Scopes ask for claims")
def test_claims_follow_the_scopes(app, session):
    user = session.user
    user.phone_number, user.claims = "+44 20 7946 0000", {"address": {"country": "GB"}, "locale": "en-GB", "role": "x"}
    user.save()
    only = userinfo(tokens_for(session, app, scope="openid")["access_token"]).json()
    assert only == {"sub": user.user_id}
    body = userinfo(tokens_for(session, app, scope="openid profile email phone address")["access_token"]).json()
    assert body["sub"] == user.user_id
    assert (body["email"], body["email_verified"]) == ("mary@fabrikamcorp.com", True)
    assert (body["phone_number"], body["phone_number_verified"]) == ("+44 20 7946 0000", False)
    assert body["address"] == {"country": "GB"}
    assert body["locale"] == "en-GB"
    assert isinstance(body["updated_at"], int)
    assert "role" not in body
    assert "given_name" not in body


def test_post_works_and_needs_no_csrf_token(app, session):
    raw = tokens_for(session, app)["access_token"]
    answer = Client(enforce_csrf_checks=True).post("/userinfo", headers={"Authorization": f"Bearer {raw}"})
    assert answer.status_code == 200
    assert Client().put("/userinfo").status_code == 405


@pytest.mark.spec("RFC 6750", "3", "A bad token is 401 with WWW-Authenticate")
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic eDp5", "Bearer a.b.c", "Bearer " + "x" * 9000])
def test_a_bad_token_is_401(app, header):
    answer = Client().get("/userinfo", headers={"Authorization": header, "Origin": "https://jwt-debugger.example"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://jwt-debugger.example"


def test_a_token_in_the_address_or_in_parts_is_not_looked_at(app, session):
    raw = tokens_for(session, app)["access_token"]
    assert Client().get(f"/userinfo?access_token={raw}").status_code == 401
    assert post_form(f"/userinfo?access_token={raw}", {}).status_code == 401
    assert Client().post("/userinfo", {"access_token": raw}).status_code == 401  # multipart/form-data


@pytest.mark.spec("RFC 6750", "2.2", "The token may be in the form of a POST, but in one place only")
def test_a_token_in_the_form_of_a_post_works(app, session):
    raw = tokens_for(session, app)["access_token"]
    assert post_form("/userinfo", {"access_token": raw}).json()["sub"] == session.user.user_id
    assert post_form("/userinfo", {"access_token": "x"}).status_code == 401
    twice = post_form("/userinfo", {"access_token": raw}, headers={"Authorization": f"Bearer {raw}"})
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
    assert post_form("/userinfo", {"access_token": [raw, raw]}).status_code == 400


def test_a_token_is_dead_with_session_user_mark_or_time(app, session):
    raw = tokens_for(session, app)["access_token"]
    assert userinfo(raw).status_code == 200
    User.objects.update(is_active=False)
    assert userinfo(raw).status_code == 401
    User.objects.update(is_active=True, revoked_before=timezone.now())
    assert userinfo(raw).status_code == 401
    User.objects.update(revoked_before=None)
    with time_machine.travel(timezone.now() + timedelta(seconds=7201), tick=True):
        assert userinfo(raw).status_code == 401
    assert userinfo(raw).status_code == 200
    SSOSession.objects.update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert userinfo(raw).status_code == 401


def test_an_id_token_or_refresh_token_is_no_access_token(app, session):
    body = tokens_for(session, app)
    assert userinfo(body["id_token"]).status_code == 401
    assert userinfo(body["refresh_token"]).status_code == 401


@pytest.mark.spec("RFC 9068", "2", "Access tokens of APIs that ask for it are JWTs")
def test_a_jwt_access_token_works_here_and_dies_here(app, session):
    ResourceServer.objects.create(
        identifier="https://api.example.com/", scopes=[{"value": "read:things"}], token_dialect="rfc9068_profile"
    )
    raw = tokens_for(session, app, resource="https://api.example.com/", scope="openid read:things")["access_token"]
    claims = decode(raw)
    assert header_of(raw)["typ"] == "at+jwt"
    assert "https://api.example.com/" in claims["aud"]
    assert claims["client_id"] == app.client_id
    assert claims["scope"] == "openid read:things"
    assert claims["sid"] == session.sid
    assert userinfo(raw).json() == {"sub": session.user.user_id}
    SSOSession.objects.update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert userinfo(raw).status_code == 401


@pytest.mark.parametrize("outlives", [False, True])
def test_a_jwt_of_the_second_of_a_revocation_is_as_dead_as_what_it_came_from(app, outlives):
    """Its `auth_time` has whole seconds, so that it alone cannot say which of the two was first."""
    ResourceServer.objects.create(identifier="https://api.example.com/", token_dialect="rfc9068_profile")
    mark = timezone.now().replace(microsecond=500_000)
    with time_machine.travel(mark + timedelta(milliseconds=300), tick=False):
        mary = make_user(revoked_before=mark)
        after = make_session(mary, auth_time=mark + timedelta(milliseconds=200))
        scope = "openid offline_access" if outlives else "openid"
        tokens = tokens_for(after, app, resource="https://api.example.com/", scope=scope)
        if outlives:
            browser(after).get("/v2/logout")
            tokens = refresh(app, tokens["refresh_token"], resource="https://api.example.com/").json()
        raw = tokens["access_token"]
        assert ("sid" in decode(raw)) is not outlives
        assert userinfo(raw).status_code == 200
        for later in (mark + timedelta(milliseconds=250), mark + timedelta(seconds=30)):
            User.objects.update(revoked_before=later)
            assert userinfo(raw).status_code == 401


@pytest.mark.parametrize("token_dialect", ["opaque", "access_token", "rfc9068_profile"])
def test_a_token_of_a_disabled_application_is_refused(app, session, token_dialect):
    ResourceServer.objects.create(identifier="https://api.example.com/", token_dialect=token_dialect)
    raw = tokens_for(session, app, resource="https://api.example.com/", scope="openid")["access_token"]
    assert userinfo(raw).status_code == 200
    app.enabled = False
    app.save()
    assert userinfo(raw).status_code == 401


def test_it_costs_one_statement(app, session):
    configuration.load_tenant()  # every installation has its row; without one nothing is kept between requests
    keys.ensure()  # a new key is a change of the configuration, which the next request reads anew
    raw = tokens_for(session, app)["access_token"]
    with CaptureQueriesContext(connection) as captured:
        assert userinfo(raw).status_code == 200
    assert len(captured) == 1, [q["sql"][:100] for q in captured]


def test_preflight(app):
    answer = Client().options("/userinfo", headers={"Origin": "https://jwt-debugger.example"})
    assert answer.status_code == 204
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
