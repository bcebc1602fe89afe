"""client_credentials: through django-oauth-toolkit for opaque tokens, signed by us for JWT APIs."""

import base64

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from idp.models import ClientGrant, ResourceServer
from sessions_app.models import AccessToken
from tests.support.factories import make_application
from tests.support.oauth import decode, header_of, post_form, token, userinfo

pytestmark = pytest.mark.django_db
API = "https://api.example.com/"


@pytest.fixture
def app():
    return make_application("Backend", app_type="non_interactive", grant_types=["client_credentials"])


@pytest.fixture
def api():
    scopes = [{"value": "read:things"}, {"value": "write:things"}, {"value": "secret:things"}]
    return ResourceServer.objects.create(identifier=API, scopes=scopes, token_lifetime=600)


@pytest.fixture
def grant(app, api):
    return ClientGrant.objects.create(
        application=app, resource_server=api, scope=["read:things", "write:things", "gone:things"]
    )


def ask(app, **params):
    return token(app, grant_type="client_credentials", **params)


@pytest.mark.spec("RFC 6749", "4.4", "A client gets a token for itself")
def test_an_opaque_token_with_the_granted_scopes(app, grant):
    answer = ask(app, audience=API)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert body["scope"] == "read:things write:things"
    assert body["expires_in"] == 600
    row = AccessToken.objects.get()
    assert (row.audience, row.user, row.application) == (API, None, app)
    assert row.token == ""
    assert row.is_valid(["read:things"])
    assert userinfo(body["access_token"]).status_code == 401


def test_fewer_scopes_by_json_and_by_basic(app, grant):
    assert ask(app, audience=API, scope="read:things", as_json=True).json()["scope"] == "read:things"
    header = "Basic " + base64.b64encode(f"{app.client_id}:{app.raw_secret}".encode()).decode()
    answer = post_form(
        "/oauth/token", {"grant_type": "client_credentials", "audience": API}, headers={"Authorization": header}
    )
    assert answer.status_code == 200, answer.content


def test_a_jwt_for_an_api_that_wants_one(app, api, grant):
    api.token_dialect = "rfc9068_profile"
    api.save()
    raw = ask(app, audience=API).json()["access_token"]
    claims = decode(raw)
    assert header_of(raw)["typ"] == "at+jwt"
    assert claims["aud"] == API
    assert claims["sub"] == "backend@clients"
    assert claims["scope"] == "read:things write:things"
    assert not AccessToken.rows.exists()


@pytest.mark.parametrize(
    ("params", "status", "error"),
    [
        ({"audience": "https://unknown.example/"}, 403, "invalid_target"),
        ({"audience": API, "scope": "secret:things"}, 400, "invalid_scope"),
        ({"audience": API, "scope": "openid"}, 400, "invalid_scope"),
        ({"audience": API, "scope": "offline_access read:things"}, 400, "invalid_scope"),
        ({"audience": API, "client_secret": "wrong"}, 401, "invalid_client"),
        ({"audience": API, "resource": "https://two.example/"}, 400, "invalid_target"),
    ],
)
def test_what_is_not_granted_is_refused(app, grant, params, status, error):
    answer = ask(app, **params)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert not AccessToken.rows.exists()


def test_no_grant_no_token(app, api):
    answer = ask(app, audience=API)
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")


def test_a_disabled_client_gets_nothing_and_its_tokens_are_dead(app, grant):
    ask(app, audience=API)
    app.enabled = False
    app.save()
    assert ask(app, audience=API).json()["error"] == "invalid_client"
    assert not AccessToken.objects.get().is_valid(["read:things"])


def test_a_public_client_and_one_without_the_grant_are_refused(grant):
    spa = make_application("SPA", token_endpoint_auth_method="none", grant_types=["client_credentials"])
    assert ask(spa, audience=API).json()["error"] == "unauthorized_client"
    web = make_application("Web")
    assert ask(web, audience=API).json()["error"] == "unauthorized_client"


def test_it_stays_cheap(app, grant):
    ask(app, audience=API)
    with CaptureQueriesContext(connection) as captured:
        ask(app, audience=API)
    assert len(captured) <= 8, [q["sql"][:80] for q in captured]
