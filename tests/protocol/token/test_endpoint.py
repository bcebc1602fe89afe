"""What POST /oauth/token accepts at all, and who may ask."""

import base64
import json
from urllib.parse import quote

import pytest
from django.test import Client
from joserfc.jwk import ECKey

from idp.limits import limiter
from idp.models import Application
from idp.tenants import configuration
from tests.protocol.token.support import Keys, assertion, by_assertion
from tests.support.factories import make_application
from tests.support.oauth import code_for, credentials, exchange, post_form, refresh, token, tokens_for

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def _nobody_is_blocked(monkeypatch):
    monkeypatch.setattr(limiter, "_blocked", limiter._Blocked())


def basic(client_id, secret):
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def with_header(app, session, header, **changes):
    body = {
        "grant_type": "authorization_code",
        "code": code_for(session, app, code_challenge=None, code_challenge_method=None),
        "redirect_uri": app.callbacks[0],
        **changes,
    }
    return post_form("/oauth/token", body, headers={"Authorization": header})


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_only_post_is_allowed(method):
    assert getattr(Client(), method)("/oauth/token").status_code == 405


def test_a_doubled_parameter_is_refused(app):
    answer = post_form("/oauth/token", {"grant_type": ["authorization_code", "refresh_token"]})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    doubled = '{"grant_type": "refresh_token", "grant_type": "refresh_token"}'
    assert Client().post("/oauth/token", doubled, content_type="application/json").status_code == 400


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "application/xml", ""])
def test_another_content_type_is_415(content_type):
    assert Client().post("/oauth/token", "grant_type=x", content_type=content_type).status_code == 415


def test_a_charset_after_the_content_type_is_fine(app):
    answer = Client().post("/oauth/token", "grant_type=x&client_id=nobody", content_type=f"{FORM}; charset=UTF-8")
    assert answer.status_code == 401


def test_a_body_of_a_megabyte_is_413():
    assert Client().post("/oauth/token", "a" * 1_100_000, content_type=FORM).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        '"x"',
        "null",
        '{"grant_type": {"a": 1}}',
        '{"grant_type": ["a"]}',
        '{"a": NaN}',
        "[" * 50_000,
        '{"grant_type": "\\u0000"}',
        '{"grant_type": "\\ud800"}',
    ],
)
def test_odd_json_is_refused_without_a_500(body):
    answer = Client().post("/oauth/token", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("body", [b"grant_type=%00", b"grant_type=%ff", b"\xff\xfe", b"&".join([b"a=1"] * 500)])
def test_odd_forms_are_refused_without_a_500(body):
    answer = Client().post("/oauth/token", body, content_type=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("grant", ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"])
def test_other_grants_are_not_supported(app, grant):
    answer = token(app, grant_type=grant, username="mary", password="x")
    assert answer.json()["error"] == "unsupported_grant_type"


def test_parameters_in_the_query_are_not_looked_at(app):
    answer = Client().post("/oauth/token?grant_type=client_credentials", "", content_type=FORM)
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.spec("RFC 6749", "2.3.1", "Basic credentials are form-urlencoded")
def test_basic_credentials_are_percent_decoded(session):
    app = make_application("Odd", client_id="web-a", client_secret="s:e%c+ret /ü")
    header = basic("web%2Da", quote("s:e%c+ret /ü", safe=""))
    assert with_header(app, session, header).status_code == 200


@pytest.mark.parametrize(
    "secret", ["abc+def/ghi=0123456789", "100%sure-0123456789", "a%2Bb+c-0123456789", "pä+ss-0123456789"]
)
def test_a_secret_that_the_client_did_not_encode_counts_too(session, secret):
    """curl -u and many libraries (DuendeArchive/IdentityServer4 issue 5254, spring-authorization-server issue 1410)."""
    app = make_application("Odd", client_id="web-a", client_secret=secret)
    assert with_header(app, session, basic("web-a", secret)).status_code == 200
    assert with_header(app, session, basic("web-a", quote(secret, safe=""))).status_code == 200
    assert with_header(app, session, basic("web-a", secret[:-1])).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        "Basic !!!",
        "Basic",
        "Basic " + base64.b64encode(b"nocolon").decode(),
        "Basic /w==",
        basic("", "x"),
        basic("a%ff", "b"),
    ],
)
def test_unreadable_basic_credentials_are_invalid_client(app, session, header):
    answer = with_header(app, session, header)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_two_ways_at_once_are_refused(app, session):
    header = basic(app.client_id, app.raw_secret)
    answer = with_header(app, session, header, client_id=app.client_id, client_secret=app.raw_secret)
    assert answer.json()["error"] == "invalid_request"
    assert with_header(app, session, header, client_id="another").json()["error"] == "invalid_request"
    assert with_header(app, session, header, client_id=app.client_id).status_code == 200


def test_an_empty_stored_secret_opens_nothing(session):
    """A blank client_secret is stored as the hash of ""."""
    app = make_application("Blank", client_secret="")
    assert exchange(app, code_for(session, app), client_secret="").status_code == 401
    assert exchange(app, code_for(session, app), client_secret=None).status_code == 401


def test_the_stored_hash_is_not_the_secret(app, session):
    stored = Application.objects.get(pk=app.pk).client_secret
    assert stored.startswith("client_sha256$")
    assert exchange(app, code_for(session, app), client_secret=stored).status_code == 401
    Application.objects.filter(pk=app.pk).update(client_secret="in clear")
    configuration.bump()
    assert exchange(app, code_for(session, app), client_secret="in clear").status_code == 401


def test_a_public_client_with_a_secret_is_refused(session):
    spa = make_application("SPA", token_endpoint_auth_method="none")
    assert exchange(spa, code_for(session, spa), client_secret="guess").status_code == 401


def test_wrong_secrets_are_counted_and_then_throttled_but_the_right_one_still_works(app, session):
    first = tokens_for(session, app)
    statuses = [refresh(app, "x", client_secret="wrong").status_code for _ in range(20)]
    assert statuses[:15] == [401] * 15
    assert statuses[15:] == [429] * 5
    assert refresh(app, first["refresh_token"]).status_code == 200
    assert refresh(app, "unknown").json()["error"] == "invalid_grant"


def test_preflight_and_cors_of_registered_origins(app, session):
    spa = make_application("SPA", token_endpoint_auth_method="none", web_origins=["https://spa.example"])
    preflight = Client().options(
        "/oauth/token",
        headers={
            "Origin": "https://spa.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "auth0-client,content-type",
        },
    )
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://spa.example"
    assert "Auth0-Client" in preflight.headers["Access-Control-Allow-Headers"]
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in preflight.headers
    wrong = post_form(
        "/oauth/token", {**credentials(spa), "grant_type": "x"}, headers={"Origin": "https://spa.example"}
    )
    assert wrong.status_code == 400
    assert wrong.headers["Access-Control-Allow-Origin"] == "https://spa.example"
    assert "Origin" in wrong.headers["Vary"]
    for origin in ("https://evil.example", "null", "https://spa.example.evil.example", "HTTPS://SPA.EXAMPLE"):
        answer = Client().options("/oauth/token", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_answers_are_never_cached(app, session):
    answer = exchange(app, code_for(session, app))
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith("application/json")


# --- private_key_jwt ---------------------------------------------------------------------------------------------------


@pytest.fixture
def keyed(key):
    return make_application(
        "Keyed", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.as_dict(private=False)]}
    )


@pytest.mark.spec("RFC 7523", "3", "A client authenticates with a signed assertion")
def test_an_assertion_authenticates_once(keyed, key, session):
    raw = assertion(key)
    assert by_assertion(keyed, session, raw).status_code == 200
    assert by_assertion(keyed, session, raw).json()["error"] == "invalid_client"


def test_a_keyed_client_has_no_secret(keyed, session):
    assert exchange(keyed, code_for(session, keyed)).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"sub": "jwt-debugger"},
        {"aud": "https://elsewhere.example/"},
        {"aud": None},
        {"exp": None},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": 99999999999},
        {"iat": 99999999999},
        {"nbf": 99999999999},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 256},
        {"sub": None},
        {"aud": {}},
        {"aud": [{}, ["https://elsewhere.example/"]]},
        {"jti": "\x00"},
        {"jti": "\ud800"},
        {"sub": "\ud800"},
    ],
)
def test_a_wrong_assertion_is_refused(app, keyed, key, session, changes):
    assert by_assertion(keyed, session, assertion(key, **changes)).json()["error"] == "invalid_client"


def test_an_assertion_by_another_key_or_none_is_refused(keyed, session):
    other = ECKey.generate_key("P-256", {"kid": "k1"})
    assert by_assertion(keyed, session, assertion(other)).json()["error"] == "invalid_client"
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    body = assertion(other).split(".")[1]
    assert by_assertion(keyed, session, f"{head}.{body}.").json()["error"] == "invalid_client"
    for nonsense in ("a.b.c", "x", "é.é.é", json.dumps({})):
        assert by_assertion(keyed, session, nonsense).json()["error"] == "invalid_client"


def test_a_secret_client_cannot_use_an_assertion(app, key, session):
    raw = assertion(key, iss=app.client_id, sub=app.client_id)
    assert by_assertion(app, session, raw).json()["error"] == "invalid_client"
    assert tokens_for(session, app)


def test_keys_are_fetched_from_jwks_uri_once_for_many_assertions(key, key_server, session):
    keyed = make_application("Keyed", token_endpoint_auth_method="private_key_jwt", jwks_uri=f"{key_server}/jwks")
    assert [by_assertion(keyed, session, assertion(key)).status_code for _ in range(3)] == [200, 200, 200]
    assert Keys.asked == 1


def test_a_jwks_uri_that_fails_is_left_alone_for_a_while(key, key_server, session):
    keyed = make_application("Keyed", token_endpoint_auth_method="private_key_jwt", jwks_uri=f"{key_server}/gone")
    assert [by_assertion(keyed, session, assertion(key)).status_code for _ in range(3)] == [401, 401, 401]
    assert Keys.asked == 1


def test_a_jwks_uri_that_the_outbound_policy_refuses_is_not_asked(key, key_server, session, settings):
    settings.OUTBOUND_ALLOW = []
    keyed = make_application("Keyed", token_endpoint_auth_method="private_key_jwt", jwks_uri=f"{key_server}/jwks")
    assert by_assertion(keyed, session, assertion(key)).status_code == 401
    assert Keys.asked == 0
