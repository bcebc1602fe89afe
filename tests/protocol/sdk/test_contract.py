"""What unmodified SDKs need, where no other test of a specification says it: status codes, types, headers, tolerance, `sid`."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from idp.crypto import keys
from tests.support.factories import browser, make_application, make_session
from tests.support.oauth import (
    answer_of,
    authorize,
    code_for,
    credentials,
    decode,
    exchange,
    header_of,
    post_form,
    refresh,
    token,
    tokens_for,
    userinfo,
)

pytestmark = pytest.mark.django_db
CONTRACT = "SDK contract"
ORIGIN = "https://spa.example"
POSTS = ("/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/device/code", "/oidc/logout", "/userinfo")


@pytest.fixture
def app():
    keys.ensure()
    return make_application(web_origins=[ORIGIN])


@pytest.mark.spec(CONTRACT, "General 2", "No trailing slashes, and no redirect of a POST")
@pytest.mark.parametrize("path", POSTS)
def test_a_post_is_never_redirected_to_another_spelling(path):
    assert Client().post(f"{path}/").status_code == 404
    assert Client().post(path).status_code not in (301, 302, 307, 308)


@pytest.mark.spec(CONTRACT, "General 3", "JSON answers are application/json with status 200")
def test_answers_for_programs_are_json(app, session):
    body = tokens_for(session, app)
    answers = [
        Client().get("/.well-known/openid-configuration"),
        Client().get("/.well-known/jwks.json"),
        exchange(app, code_for(session, app)),
        userinfo(body["access_token"]),
        post_form("/oauth/introspect", {**credentials(app), "token": body["access_token"]}),
        post_form("/oauth/revoke", {**credentials(app), "token": body["refresh_token"]}),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].split(";")[0] == "application/json"


@pytest.mark.spec(CONTRACT, "General 4", "Errors of the token endpoint; WWW-Authenticate only on 401")
@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "none"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "audience": "https://api.example/"}, 400, "unauthorized_client"),
    ],
)
def test_a_refusal_has_the_status_that_openid_client_reads(app, changes, status, error):
    answer = token(app, **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]
    assert answer.headers["Content-Type"] == "application/json"
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)


@pytest.mark.spec(CONTRACT, "General 5", "Headers and parameters that nobody asked for are ignored")
def test_what_sdks_send_beside_the_point_is_ignored(app, session):
    told = {"auth0Client": "eyJ9", "audience": None, "organization": "org_1", "ui_locales": "de", "acr_values": "x"}
    code = code_for(session, app, **told)
    body = exchange(app, code, scope="openid email", audience="").json()
    assert body["scope"] == "openid profile email"
    again = refresh(app, body["refresh_token"], redirect_uri=app.callbacks[0], organization="org_1")
    assert again.status_code == 200
    headers = {"Auth0-Client": "eyJ9", "Origin": ORIGIN}
    answer = Client().get("/userinfo", {"auth0Client": "x"}, headers=headers | bearer(body))
    assert answer.json()["email"] == "mary@fabrikamcorp.com"
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


def bearer(body):
    return {"Authorization": f"Bearer {body['access_token']}"}


@pytest.mark.spec(CONTRACT, "Discovery", "Every field that an SDK reads; scripts of any origin may read it")
def test_discovery_has_every_field_and_may_be_read_by_scripts():
    answer = Client().get("/.well-known/openid-configuration", headers={"Origin": "https://anybody.example"})
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://anybody.example")
    assert "Access-Control-Allow-Credentials" not in answer.headers
    found = answer.json()
    for name, path in {
        "authorization_endpoint": "authorize",
        "token_endpoint": "oauth/token",
        "userinfo_endpoint": "userinfo",
        "jwks_uri": ".well-known/jwks.json",
        "revocation_endpoint": "oauth/revoke",
        "end_session_endpoint": "oidc/logout",
    }.items():
        assert found[name] == f"{settings.ISSUER}{path}"
    for name, values in {
        "response_types_supported": {"code"},
        "response_modes_supported": {"query", "fragment", "form_post", "web_message"},
        "subject_types_supported": {"public"},
        "id_token_signing_alg_values_supported": {"RS256"},
        "token_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post", "none"},
        "code_challenge_methods_supported": {"S256"},
        "scopes_supported": {"openid", "profile", "email", "offline_access"},
        "claims_supported": {"sub", "email", "sid", "auth_time"},
    }.items():
        assert values <= set(found[name]), name
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["backchannel_logout_supported"] is found["backchannel_logout_session_supported"] is True


@pytest.mark.spec(CONTRACT, "ID token", "What auth0-spa-js checks and reads")
def test_an_id_token_is_what_the_sdks_check(app, session):
    body = tokens_for(session, app)
    raw, claims = body["id_token"], decode(body["id_token"])
    assert header_of(raw)["alg"] == "RS256"
    assert header_of(raw)["kid"] in {key["kid"] for key in Client().get("/.well-known/jwks.json").json()["keys"]}
    assert claims["iss"] == settings.ISSUER
    assert claims["iss"].endswith("/")
    assert claims["aud"] == app.client_id
    for name in ("iat", "exp", "auth_time"):
        assert type(claims[name]) is int
    assert claims["nonce"] == "the-nonce"
    assert len(claims["sid"]) >= 16
    for name in ("email", "email_verified", "name", "nickname"):
        assert name in claims
    assert type(body["expires_in"]) is int


@pytest.mark.spec(CONTRACT, "ID token", "sid is one in all clients, over prompt=none and refresh, and new after logout")
def test_sid_is_the_sessions_and_nothing_elses(app, session):
    other = make_application("Other")
    body = tokens_for(session, app)
    sids = {
        decode(raw)["sid"]
        for raw in (
            body["id_token"],
            tokens_for(session, other)["id_token"],
            tokens_for(session, app, prompt="none")["id_token"],
            refresh(app, body["refresh_token"]).json()["id_token"],
        )
    }
    assert sids == {session.sid}
    later = make_session(session.user)
    assert decode(tokens_for(later, app)["id_token"])["sid"] == later.sid != session.sid


@pytest.mark.spec(CONTRACT, "web_message", "Errors are pages with the message too, in a page that may be framed")
@pytest.mark.parametrize(
    ("signed_in", "changes", "error"),
    [
        (False, {"prompt": "none"}, "login_required"),
        (True, {"prompt": "none", "scope": "openid nonsense"}, None),
        (True, {"prompt": "none", "audience": "https://unknown.example/"}, "invalid_target"),
        (True, {"prompt": "none", "max_age": "0"}, "login_required"),
        (True, {"prompt": "none login"}, "invalid_request"),
    ],
)
def test_every_silent_answer_is_a_message(app, session, signed_in, changes, error):
    app.redirect_uris = f"{ORIGIN}/"
    app.save()
    answer = authorize(session if signed_in else None, app, response_mode="web_message", **changes)
    text = answer.content.decode()
    assert f'data-target="{ORIGIN}"' in text
    assert (f'data-name="error" data-value="{error}"' if error else 'data-name="code"') in text
    assert "X-Frame-Options" not in answer.headers
    assert ORIGIN in answer.headers["Content-Security-Policy"].split("frame-ancestors")[1]


def test_the_words_that_sdks_look_for(app, session):
    assert answer_of(authorize(None, app, prompt="none"))["error_description"] == "Login required"
    assert "invalid refresh token" in refresh(app, "unknown").json()["error_description"].lower()


@pytest.mark.spec(CONTRACT, "Gotchas", "Cookies on localhost are shared by all ports: ours have names of their own")
def test_cookies_clash_with_no_other_program():
    names = (settings.SSO_COOKIE_NAME, settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)
    assert all("curfew" in name for name in names)


@pytest.mark.spec(CONTRACT, "Gotchas", "No redirect on the way of a popup takes its opener away")
def test_redirects_of_a_sign_in_keep_the_opener_of_a_popup(app, session):
    for answer in (authorize(None, app), authorize(session, app)):
        assert answer.status_code in (302, 303)
        assert answer.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert browser(session).get("/").headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.spec(CONTRACT, "General 2", "Programs need no CSRF token, and pages do")
def test_csrf_protection_is_for_pages_only(app, session):
    strict = Client(enforce_csrf_checks=True)
    form = {**credentials(app), "token": "x"}
    assert strict.post("/oauth/revoke", form, content_type="application/json").status_code == 200
    assert strict.post(reverse("account_login"), {"username": "x", "password": "y"}).status_code == 403
