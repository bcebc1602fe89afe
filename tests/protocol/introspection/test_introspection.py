"""POST /oauth/introspect (RFC 7662): a client sees only the tokens that are meant for it."""

import pytest
from django.test import Client
from django.utils import timezone

from idp.models import ClientGrant, ResourceServer, User
from sessions_app.models import SSOSession
from tests.support.factories import make_application
from tests.support.oauth import credentials, issuer, post_form, refresh, token, tokens_for

pytestmark = pytest.mark.django_db


def introspect(app, raw):
    answer = post_form("/oauth/introspect", {**credentials(app), "token": raw})
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.spec("RFC 7662", "2.2", "An active token is described")
def test_a_living_access_token(app, session):
    body = tokens_for(session, app)
    answer = introspect(app, body["access_token"])
    assert answer["active"] is True
    assert answer["sub"] == session.user.user_id
    assert answer["sid"] == session.sid
    assert answer["client_id"] == app.client_id
    assert answer["scope"] == "openid profile email"
    assert answer["iss"] == issuer()
    assert answer["exp"] - answer["iat"] == 7200


def test_a_living_refresh_token_and_a_rotated_one(app, session):
    first = tokens_for(session, app)["refresh_token"]
    assert introspect(app, first)["token_type"] == "refresh_token"
    second = refresh(app, first).json()["refresh_token"]
    assert introspect(app, first) == {"active": False}
    assert introspect(app, second)["active"] is True


def test_another_clients_tokens_are_inactive(app, session):
    """The toolkit's view tells every client about every token."""
    body = tokens_for(session, app)
    other = make_application("Other")
    assert introspect(other, body["access_token"]) == {"active": False}
    assert introspect(other, body["refresh_token"]) == {"active": False}


def test_an_api_sees_the_tokens_that_are_meant_for_it(app, session):
    api = make_application("API", client_id="https://api.example.com/", grant_types=[])
    ResourceServer.objects.create(identifier="https://api.example.com/", scopes=[{"value": "read:things"}])
    body = tokens_for(session, app, audience="https://api.example.com/", scope="openid read:things")
    answer = introspect(api, body["access_token"])
    assert (answer["active"], answer["aud"]) == (True, "https://api.example.com/")
    assert answer["scope"] == "openid read:things"
    assert introspect(api, body["refresh_token"]) == {"active": False}


def test_a_token_of_a_client_itself():
    backend = make_application("Backend", grant_types=["client_credentials"])
    api = ResourceServer.objects.create(identifier="https://a.example/", scopes=[{"value": "x"}])
    ClientGrant.objects.create(application=backend, resource_server=api, scope=["x"])
    raw = token(backend, grant_type="client_credentials", audience="https://a.example/").json()["access_token"]
    assert introspect(backend, raw)["sub"] == "backend@clients"


def test_death_of_the_parents_shows_at_once(app, session):
    body = tokens_for(session, app, scope="openid offline_access")
    User.objects.update(is_active=False)
    assert introspect(app, body["access_token"]) == introspect(app, body["refresh_token"]) == {"active": False}
    User.objects.update(is_active=True)
    assert introspect(app, body["access_token"])["active"]
    SSOSession.objects.update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert introspect(app, body["access_token"]) == {"active": False}
    assert introspect(app, body["refresh_token"])["active"] is True
    User.objects.update(revoked_before=timezone.now())
    assert introspect(app, body["refresh_token"]) == {"active": False}


def test_public_and_unauthenticated_clients_may_not_ask(app, session):
    body = tokens_for(session, app)
    make_application("SPA", token_endpoint_auth_method="none")
    assert post_form("/oauth/introspect", {"client_id": "spa", "token": body["access_token"]}).status_code == 401
    assert post_form("/oauth/introspect", {"token": body["access_token"]}).status_code == 401
    wrong = {"client_id": app.client_id, "client_secret": "", "token": body["access_token"]}
    assert post_form("/oauth/introspect", wrong).status_code == 401


def test_a_token_in_the_address_is_not_looked_at(app, session):
    body = tokens_for(session, app)
    assert Client().get(f"/oauth/introspect?token={body['access_token']}").status_code == 405
    assert introspect(app, "x" * 5000) == {"active": False}
