"""POST /oauth/token with grant_type=refresh_token: families, generations, leeway, reuse, death."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.models import User
from sessions_app.models import AccessToken, RefreshToken, RefreshTokenFamily, SessionEvent, SSOSession
from tests.support.factories import make_application
from tests.support.oauth import decode, refresh, token, tokens_for, userinfo

pytestmark = pytest.mark.django_db


@pytest.fixture
def first(app, session):
    return tokens_for(session, app)


def refused(response):
    return response.status_code == 400 and response.json() == {
        "error": "invalid_grant",
        "error_description": "Unknown or invalid refresh token.",
    }


@pytest.mark.spec("RFC 9700", "4.14.2", "Refresh tokens rotate")
def test_a_refresh_gives_new_tokens_of_the_same_family(app, session, first):
    body = refresh(app, first["refresh_token"]).json()
    assert body["refresh_token"] != first["refresh_token"]
    assert body["access_token"] != first["access_token"]
    assert body["scope"] == first["scope"]
    before, after = decode(first["id_token"]), decode(body["id_token"])
    assert (after["sid"], after["auth_time"], after["sub"]) == (before["sid"], before["auth_time"], before["sub"])
    assert "nonce" not in after
    assert userinfo(body["access_token"]).status_code == 200
    assert RefreshTokenFamily.objects.get().generation == 1


def test_fifty_rotations_in_a_row_succeed(app, first):
    current = first["refresh_token"]
    for _ in range(50):
        current = refresh(app, current).json()["refresh_token"]
    assert RefreshTokenFamily.objects.get().generation == 50


def test_the_previous_token_makes_siblings_inside_the_leeway(app, first):
    one = refresh(app, first["refresh_token"]).json()["refresh_token"]
    two = refresh(app, first["refresh_token"]).json()["refresh_token"]
    three = refresh(app, first["refresh_token"]).json()["refresh_token"]
    assert len({one, two, three}) == 3
    assert RefreshTokenFamily.objects.get().generation == 1
    assert refresh(app, two).status_code == 200  # the siblings are the previous generation now, in grace
    assert refresh(app, one).status_code == 200


@pytest.mark.spec("RFC 9700", "4.14.2", "Reuse of a rotated token revokes the family")
def test_a_token_used_again_after_the_leeway_kills_the_family(app, session, first):
    second = refresh(app, first["refresh_token"]).json()
    with time_machine.travel(timezone.now() + timedelta(seconds=31), tick=True):
        assert refused(refresh(app, first["refresh_token"]))
        assert refused(refresh(app, second["refresh_token"]))
    assert userinfo(second["access_token"]).status_code == 401
    event = SessionEvent.objects.get(type="refresh_token_reused")
    assert event.sid == session.sid
    assert event.client_id == app.client_id
    assert event.data["generation"] == 0
    assert RefreshTokenFamily.objects.get().revoke_reason == "reused"


def test_a_token_two_generations_back_is_reuse_even_inside_the_leeway(app, first):
    second = refresh(app, first["refresh_token"]).json()["refresh_token"]
    third = refresh(app, second).json()["refresh_token"]
    assert refused(refresh(app, first["refresh_token"]))
    assert refused(refresh(app, third))


def test_a_leeway_of_zero_means_once(session):
    app = make_application("Strict", refresh_token_leeway=0)
    first = tokens_for(session, app)
    refresh(app, first["refresh_token"])
    with time_machine.travel(timezone.now() + timedelta(seconds=1), tick=True):
        assert refused(refresh(app, first["refresh_token"]))


def test_the_token_of_another_client_kills_the_family(app, first):
    other = make_application("Other")
    assert refused(refresh(other, first["refresh_token"]))
    assert refused(refresh(app, first["refresh_token"]))
    assert SessionEvent.objects.filter(type="refresh_token_stolen").count() == 1


def test_a_confidential_client_must_authenticate(app, first):
    answer = token(None, grant_type="refresh_token", refresh_token=first["refresh_token"], client_id=app.client_id)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert refresh(app, first["refresh_token"], client_secret="wrong").status_code == 401
    assert refresh(app, first["refresh_token"]).status_code == 200


def test_a_session_bound_token_dies_with_the_session(app, session, first):
    SSOSession.objects.filter(pk=session.pk).update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert refused(refresh(app, first["refresh_token"]))
    assert userinfo(first["access_token"]).status_code == 401


def test_an_offline_token_survives_the_session_and_keeps_its_sid(app, session):
    offline = tokens_for(session, app, scope="openid offline_access")
    SSOSession.objects.filter(pk=session.pk).update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert userinfo(offline["access_token"]).status_code == 401
    body = refresh(app, offline["refresh_token"]).json()
    assert decode(body["id_token"])["sid"] == session.sid
    assert userinfo(body["access_token"]).status_code == 200


def test_an_offline_token_dies_with_revoked_before(app, session):
    offline = tokens_for(session, app, scope="openid offline_access")
    User.objects.update(revoked_before=timezone.now())
    assert refused(refresh(app, offline["refresh_token"]))


def test_a_family_that_an_exchange_made_after_the_mark_from_an_older_sign_in_is_dead(app, session):
    User.objects.update(revoked_before=session.auth_time)
    family = RefreshTokenFamily(
        user=User.objects.get(),
        application=app,
        offline=True,
        auth_time=session.auth_time,
        created_at=timezone.now() + timedelta(seconds=5),
    )
    assert not family.is_alive(timezone.now())


def test_a_blocked_person_is_told_so(app, first):
    User.objects.update(is_active=False)
    answer = refresh(app, first["refresh_token"])
    assert answer.json() == {"error": "invalid_grant", "error_description": "user is blocked"}


def test_idle_and_absolute_lifetimes(session):
    app = make_application("Brief", refresh_token_idle_lifetime=60, refresh_token_lifetime=100)
    first = tokens_for(session, app)["refresh_token"]
    start = timezone.now()
    with time_machine.travel(start + timedelta(seconds=50), tick=True):
        second = refresh(app, first).json()["refresh_token"]  # idle moves, absolute does not
    with time_machine.travel(start + timedelta(seconds=95), tick=True):
        third = refresh(app, second).json()["refresh_token"]
    with time_machine.travel(start + timedelta(seconds=102), tick=True):
        assert refused(refresh(app, third))


def test_an_idle_token_is_dead(session):
    app = make_application("Brief", refresh_token_idle_lifetime=60)
    first = tokens_for(session, app)["refresh_token"]
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=True):
        assert refused(refresh(app, first))


def test_a_non_rotating_token_stays_the_same(session):
    app = make_application("Steady", refresh_token_rotating=False)
    first = tokens_for(session, app)["refresh_token"]
    for _ in range(3):
        answer = refresh(app, first)
        assert answer.json()["refresh_token"] == first
    assert RefreshToken.objects.count() == 1


@pytest.mark.spec("RFC 6749", "6", "A refresh may narrow the scope")
def test_the_scope_may_be_narrowed_for_one_answer_but_not_widened(app, session):
    first = tokens_for(session, app, scope="openid email")["refresh_token"]
    narrow = refresh(app, first, scope="openid").json()
    assert narrow["scope"] == "openid"
    assert "email" not in decode(narrow["id_token"])
    assert refresh(app, narrow["refresh_token"]).json()["scope"] == "openid email"
    wide = refresh(app, narrow["refresh_token"], scope="openid phone")
    assert (wide.status_code, wide.json()["error"]) == (400, "invalid_scope")


def test_a_scope_that_nobody_knew_is_ignored_again(app, first):
    answer = refresh(app, first["refresh_token"], scope="openid profile email read:unknown offline_access")
    assert answer.json()["scope"] == "openid profile email"


def test_device_facts_are_kept(app, first):
    family = RefreshTokenFamily.objects.get()
    assert family.initial_ip == "127.0.0.1"
    assert family.last_exchanged_at is None
    refresh(app, first["refresh_token"])
    assert RefreshTokenFamily.objects.get().last_exchanged_at is not None


def test_a_disabled_application_gets_nothing(app, first):
    app.enabled = False
    app.save()
    assert refresh(app, first["refresh_token"]).json()["error"] == "invalid_client"
    assert userinfo(first["access_token"]).status_code == 401


def test_an_application_without_the_grant_gets_nothing(app, first):
    app.grant_types = ["authorization_code"]
    app.save()
    assert refresh(app, first["refresh_token"]).json()["error"] == "unauthorized_client"


def test_an_unknown_token_is_refused_with_the_words_that_sdks_look_for(app):
    assert refused(refresh(app, "never-made"))


def test_a_refresh_costs_two_statements_or_four_on_sqlite(app, first):
    current = refresh(app, first["refresh_token"]).json()["refresh_token"]
    with CaptureQueriesContext(connection) as captured:
        assert refresh(app, current).status_code == 200
    work = [q["sql"] for q in captured if not q["sql"].startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))]
    assert len(work) <= (2 if connection.vendor == "postgresql" else 4), work


def test_an_access_token_outlives_its_session_only_when_the_application_says_so(session):
    app = make_application("Lasting", access_tokens_die_with_session=False, session_refresh_tokens=False)
    body = tokens_for(session, app)
    assert AccessToken.rows.get().family_id is None
    SSOSession.objects.filter(pk=session.pk).update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert userinfo(body["access_token"]).status_code == 200
    User.objects.update(revoked_before=timezone.now())
    assert userinfo(body["access_token"]).status_code == 401
