"""POST /oauth/revoke (RFC 7009)."""

import json

import pytest
from django.test import Client

from tests.support.factories import make_application
from tests.support.oauth import credentials, post_form, refresh, tokens_for, userinfo

pytestmark = pytest.mark.django_db


def revoke(app, token, **extra):
    return post_form("/oauth/revoke", {**credentials(app), "token": token, **extra})


@pytest.mark.spec("RFC 7009", "2.1", "Revoking a refresh token revokes its access tokens")
def test_a_refresh_token_takes_its_family_along(app, session):
    first = tokens_for(session, app)
    second = refresh(app, first["refresh_token"]).json()
    answer = revoke(app, second["refresh_token"], token_type_hint="refresh_token")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert userinfo(first["access_token"]).status_code == 401
    assert userinfo(second["access_token"]).status_code == 401
    assert refresh(app, second["refresh_token"]).status_code == 400


def test_an_access_token_goes_alone(app, session):
    body = tokens_for(session, app)
    assert revoke(app, body["access_token"], token_type_hint="access_token").status_code == 200
    assert userinfo(body["access_token"]).status_code == 401
    assert refresh(app, body["refresh_token"]).status_code == 200


@pytest.mark.spec("RFC 7009", "2.2", "Unknown tokens are answered with 200")
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
def test_unknown_tokens_and_hints_are_200(app, hint):
    assert revoke(app, "unknown", token_type_hint=hint).status_code == 200


def test_another_clients_token_is_left_alone(app, session):
    body = tokens_for(session, app)
    other = make_application("Other")
    assert revoke(other, body["refresh_token"]).status_code == 200
    assert revoke(other, body["access_token"]).status_code == 200
    assert userinfo(body["access_token"]).status_code == 200
    assert refresh(app, body["refresh_token"]).status_code == 200


def test_a_public_client_revokes_by_its_client_id_and_json(session):
    spa = make_application(
        "SPA", app_type="spa", token_endpoint_auth_method="none", web_origins=["https://spa.example"]
    )
    body = tokens_for(session, spa, scope="openid offline_access")
    answer = Client().post(
        "/oauth/revoke",
        json.dumps({"client_id": "spa", "token": body["refresh_token"], "token_type_hint": "refresh_token"}),
        content_type="application/json",
        headers={"Origin": "https://spa.example"},
    )
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://spa.example"
    assert refresh(spa, body["refresh_token"]).status_code == 400


def test_wrong_credentials_a_missing_token_and_get(app, session):
    body = tokens_for(session, app)
    assert post_form("/oauth/revoke", {"client_id": app.client_id, "token": body["access_token"]}).status_code == 401
    assert post_form("/oauth/revoke", credentials(app)).json()["error"] == "invalid_request"
    assert Client().get("/oauth/revoke").status_code == 405
    assert userinfo(body["access_token"]).status_code == 200
