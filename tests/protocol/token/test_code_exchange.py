"""POST /oauth/token with grant_type=authorization_code."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sessions_app.models import AccessToken, AuthorizationCode, RefreshTokenFamily, SessionEvent
from tests.support.factories import make_application, make_session, make_user
from tests.support.oauth import (
    code_for,
    decode,
    exchange,
    header_of,
    issuer,
    refresh,
    tokens_for,
    userinfo,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def mary():
    return make_user()


@pytest.fixture
def session(mary):
    return make_session(mary)


def end(session):
    session.ended_at, session.end_initiator = timezone.now(), "rp-logout"
    session.save()


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.3.3", "A code is exchanged for an access token and an ID token")
def test_a_code_gives_access_token_id_token_and_a_session_bound_refresh_token(app, session, mary):
    body = tokens_for(session, app)
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 7200
    assert body["scope"] == "openid profile email"
    claims = decode(body["id_token"])
    assert header_of(body["id_token"])["alg"] == "RS256"
    assert claims["iss"] == issuer()
    assert claims["sub"] == mary.user_id
    assert claims["aud"] == app.client_id
    assert claims["nonce"] == "the-nonce"
    assert claims["sid"] == session.sid
    assert claims["auth_time"] == int(session.auth_time.timestamp())
    assert claims["exp"] - claims["iat"] == 36000
    assert claims["email"] == "mary@fabrikamcorp.com"
    assert claims["amr"] == ["pwd"]
    family = RefreshTokenFamily.objects.get()
    assert not family.offline
    assert family.session == session
    assert userinfo(body["access_token"]).json()["sub"] == mary.user_id


def test_nothing_in_clear_is_stored(app, session):
    code = code_for(session, app)
    body = exchange(app, code).json()
    secrets = {code, body["access_token"], body["refresh_token"]}
    with connection.cursor() as cursor:
        for model in (AuthorizationCode, AccessToken, RefreshTokenFamily.tokens.rel.related_model):
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")
            stored = {str(value) for row in cursor.fetchall() for value in row}
            assert not stored & secrets


def test_offline_access_gives_an_offline_family(app, session):
    tokens_for(session, app, scope="openid offline_access")
    assert RefreshTokenFamily.objects.get().offline


def test_an_spa_without_offline_access_gets_no_refresh_token(session):
    spa = make_application("SPA", app_type="spa", token_endpoint_auth_method="none")
    assert "refresh_token" not in tokens_for(session, spa)


def test_without_openid_there_is_no_id_token(app, session):
    body = tokens_for(session, app, scope="profile")
    assert "id_token" not in body
    assert userinfo(body["access_token"]).status_code == 403


@pytest.mark.spec("RFC 6749", "4.1.2", "A replayed code is refused and its tokens are revoked")
def test_a_replayed_code_revokes_what_it_made(app, session):
    code = code_for(session, app)
    first = exchange(app, code).json()
    second = exchange(app, code)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    assert userinfo(first["access_token"]).status_code == 401
    assert refresh(app, first["refresh_token"]).status_code == 400
    assert SessionEvent.objects.filter(type="authorization_code_replayed").count() == 1


@pytest.mark.spec("RFC 7636", "4.6", "A wrong verifier is refused")
def test_a_wrong_verifier_burns_the_code(app, session):
    code = code_for(session, app)
    assert exchange(app, code, code_verifier="x" * 43).json()["error"] == "invalid_grant"
    assert exchange(app, code).json()["error"] == "invalid_grant"


@pytest.mark.spec("RFC 9700", "4.8.2", "PKCE downgrade is refused")
def test_a_verifier_without_a_challenge_is_refused(app, session):
    code = code_for(session, app, code_challenge=None, code_challenge_method=None)
    assert exchange(app, code).json()["error"] == "invalid_grant"


def test_a_confidential_client_may_leave_pkce_out(app, session):
    code = code_for(session, app, code_challenge=None, code_challenge_method=None)
    assert exchange(app, code, code_verifier=None).status_code == 200


def test_a_code_of_another_client_or_another_redirect_uri_is_refused(app, session):
    other = make_application("Other")
    code = code_for(session, app)
    assert exchange(other, code, redirect_uri=app.callbacks[0]).json()["error"] == "invalid_grant"
    assert exchange(app, code, redirect_uri="https://jwt-debugger.example/callback/").json()["error"] == "invalid_grant"


def test_a_code_expires_after_a_minute(app, session):
    code = code_for(session, app)
    AuthorizationCode.objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert exchange(app, code).json()["error"] == "invalid_grant"


def test_a_code_dies_with_its_session_and_its_user(app, session, mary):
    first, second, third = (code_for(session, app) for _ in range(3))
    mary.is_active = False
    mary.save(update_fields=["is_active"])
    assert exchange(app, first).json()["error"] == "invalid_grant"
    mary.is_active, mary.revoked_before = True, timezone.now()
    mary.save(update_fields=["is_active", "revoked_before"])
    assert exchange(app, second).json()["error"] == "invalid_grant"
    mary.revoked_before = None
    mary.save(update_fields=["revoked_before"])
    end(session)
    assert exchange(app, third).json()["error"] == "invalid_grant"


def test_the_body_may_be_json(app, session):
    assert exchange(app, code_for(session, app), as_json=True).status_code == 200


def test_a_public_client_with_pkce_needs_no_secret(session):
    spa = make_application("SPA", app_type="spa", token_endpoint_auth_method="none")
    body = tokens_for(session, spa, scope="openid offline_access")
    assert refresh(spa, body["refresh_token"]).json()["id_token"]


def test_two_hundred_families_are_kept_and_the_oldest_goes(app, session, monkeypatch):
    monkeypatch.setattr("sessions_app.oauth.tokens.FAMILIES_PER_USER_AND_APPLICATION", 3)
    answers = [tokens_for(session, app) for _ in range(4)]
    assert RefreshTokenFamily.objects.filter(revoked_at=None).count() == 3
    assert refresh(app, answers[0]["refresh_token"]).status_code == 400
    assert refresh(app, answers[1]["refresh_token"]).status_code == 200


def test_a_code_exchange_costs_three_statements_or_five_on_sqlite(app, session):
    tokens_for(session, app)  # makes the first signing key, a change of configuration
    tokens_for(session, app)
    code = code_for(session, app)
    with CaptureQueriesContext(connection) as captured:
        assert exchange(app, code).status_code == 200
    work = [q["sql"] for q in captured if not q["sql"].startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))]
    assert len(work) <= (3 if connection.vendor == "postgresql" else 5), work


def test_userinfo_claims_asked_by_name_are_given(app, session):
    body = tokens_for(
        session, app, scope="openid", claims='{"userinfo": {"email": {"essential": true}}, "id_token": {"name": null}}'
    )
    assert "email" not in decode(body["id_token"])
    assert decode(body["id_token"])["name"]
    assert userinfo(body["access_token"]).json()["email"] == "mary@fabrikamcorp.com"


def test_es256_is_used_for_an_application_that_asks_for_it(session):
    app = make_application("Modern", id_token_signed_response_alg="ES256")
    body = tokens_for(session, app)
    assert header_of(body["id_token"])["alg"] == "ES256"
    assert decode(body["id_token"])["sid"] == session.sid
