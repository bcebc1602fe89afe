"""The pretended Okta organisation of the examples does what Okta documents."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from examples.okta_org.app import COOKIE, NOT_ASSIGNED, OktaOrg
from examples.okta_org.organisation import PEOPLE, Application, Organisation
from examples.okta_org.provisioning import ScimClient
from examples.okta_org.tokens import challenge_of
from examples.web import Request

pytestmark = pytest.mark.once

ANN, BEN, CLEO = PEOPLE
ISSUER = "http://localhost:8004"
CALLBACK = "http://localhost:8000/login/callback"
APPLICATION = Application(
    "the-client", "a test secret", CALLBACK, "http://localhost:8000/logout/callback", "http://127.0.0.1:9/gtr"
)
SCIM = ScimClient("http://127.0.0.1:9/scim/v2/connections/acme-okta", token="")
WANTED = {
    "client_id": "the-client",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid email",
    "state": "the-state",
    "nonce": "the-nonce",
    "code_challenge": challenge_of("the-verifier"),
    "code_challenge_method": "S256",
}


@pytest.fixture
def org():
    return OktaOrg(f"{ISSUER}/", Organisation("Acme"), APPLICATION, SCIM, with_sid=False)


def ask(org, method, path, query=None, form=None, cookie="", origin="", authorization=""):
    encoded = urlencode(query or {})
    cookies = {COOKIE: cookie} if cookie else {}
    return org.answer(
        Request(method, path, dict(query or {}), dict(form or {}), cookies, origin, authorization, encoded)
    )


def location(response):
    parts = urlsplit(dict(response.headers)["Location"])
    return f"{parts.scheme}://{parts.netloc}{parts.path}", dict(parse_qsl(parts.query))


def cookie_of(response):
    return next(value for name, value in response.headers if name == "Set-Cookie").split(";")[0].partition("=")[2]


def sign_in(org, person=ANN, **wanted):
    return ask(org, "POST", "/signin", form={"person": person.id, "request": urlencode(WANTED | wanted)})


def exchange(org, code, **form):
    given = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": "the-verifier",
        "client_id": "the-client",
        "client_secret": "a test secret",
    }
    return ask(org, "POST", "/oauth2/v1/token", form=given | form)


def test_a_person_signs_in_and_the_id_token_looks_like_oktas(org):
    assert "Ann Ames" in ask(org, "GET", "/oauth2/v1/authorize", WANTED).body
    target, answer = location(sign_in(org))
    assert (target, answer["state"]) == (CALLBACK, "the-state")
    tokens = json.loads(exchange(org, answer["code"]).body)
    keys = KeySet.import_key_set(json.loads(ask(org, "GET", "/oauth2/v1/keys").body))
    claims = jwt.decode(tokens["id_token"], keys).claims
    assert (claims["iss"], claims["aud"], claims["sub"]) == (ISSUER, "the-client", ANN.id)
    assert (claims["nonce"], claims["email"]) == ("the-nonce", ANN.email)
    assert {"auth_time", "amr", "idp", "at_hash", "ver", "jti"} <= set(claims)
    assert "sid" not in claims
    userinfo = ask(org, "GET", "/oauth2/v1/userinfo", authorization=f"Bearer {tokens['access_token']}")
    assert json.loads(userinfo.body)["sub"] == ANN.id


def test_a_code_is_used_once_and_only_with_its_verifier_and_the_secret(org):
    code = location(sign_in(org))[1]["code"]
    assert exchange(org, code, client_secret="wrong").status.startswith("401")
    assert exchange(org, code).status == "200 OK"
    assert exchange(org, code).status.startswith("400")
    assert exchange(org, location(sign_in(org))[1]["code"], code_verifier="another").status.startswith("400")


def test_client_secret_basic_is_understood(org):
    pair = base64.b64encode(b"the-client:a%20test%20secret").decode()
    code = location(sign_in(org))[1]["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": "the-verifier"}
    assert ask(org, "POST", "/oauth2/v1/token", form=form, authorization=f"Basic {pair}").status == "200 OK"


def test_who_is_signed_in_is_not_asked_again_unless_the_application_wants_it(org):
    cookie = cookie_of(sign_in(org))
    assert "code" in location(ask(org, "GET", "/oauth2/v1/authorize", WANTED, cookie=cookie))[1]
    for wish in ({"prompt": "login"}, {"prompt": "select_account"}):
        assert ask(org, "GET", "/oauth2/v1/authorize", WANTED | wish, cookie=cookie).status == "200 OK"


def test_prompt_none_without_a_session_is_login_required(org):
    answer = location(ask(org, "GET", "/oauth2/v1/authorize", WANTED | {"prompt": "none"}))[1]
    assert answer["error"] == "login_required"


def test_a_person_who_is_not_assigned_is_refused_in_oktas_words(org):
    answer = location(sign_in(org, CLEO))[1]
    assert (answer["error"], answer["error_description"]) == ("access_denied", NOT_ASSIGNED)


@pytest.mark.parametrize("wrong", [{"client_id": "another"}, {"redirect_uri": "https://evil.example/"}])
def test_what_is_not_registered_is_never_redirected_to(org, wrong):
    for response in (ask(org, "GET", "/oauth2/v1/authorize", WANTED | wrong), sign_in(org, **wrong)):
        assert response.status.startswith("400")
        assert "Location" not in dict(response.headers)


def test_signing_out_ends_the_session_and_returns_to_the_registered_address_only(org):
    cookie = cookie_of(sign_in(org))
    query = {"client_id": "the-client", "post_logout_redirect_uri": "https://evil.example/", "state": "s"}
    assert ask(org, "GET", "/oauth2/v1/logout", query, cookie=cookie).status.startswith("400")
    query["post_logout_redirect_uri"] = APPLICATION.logout_redirect_uri
    response = ask(org, "GET", "/oauth2/v1/logout", query, cookie=cookie)
    assert location(response) == (APPLICATION.logout_redirect_uri, {"state": "s"})
    assert ask(org, "GET", "/oauth2/v1/authorize", WANTED, cookie=cookie).status == "200 OK"


def test_clearing_sessions_ends_them_all_here_and_says_when_the_application_does_not_answer(org):
    cookies = [cookie_of(sign_in(org)) for _ in range(2)]
    other = cookie_of(sign_in(org, BEN))
    form = {"person": ANN.id, "universal_logout": "1", "subject_format": "iss_sub"}
    body = ask(org, "POST", "/clear-sessions", form=form).body
    assert "The application did not answer." in body
    assert all(ask(org, "GET", "/oauth2/v1/authorize", WANTED, cookie=c).status == "200 OK" for c in cookies)
    assert "code" in location(ask(org, "GET", "/oauth2/v1/authorize", WANTED, cookie=other))[1]


def test_another_site_clears_nobodys_sessions(org):
    cookie = cookie_of(sign_in(org))
    form = {"person": ANN.id}
    assert ask(org, "POST", "/clear-sessions", form=form, origin="https://evil.example").status.startswith("400")
    assert "code" in location(ask(org, "GET", "/oauth2/v1/authorize", WANTED, cookie=cookie))[1]


def test_the_revocation_token_is_as_okta_documents_it(org):
    token = org.signer.revocation_token(APPLICATION)
    decoded = jwt.decode(token, KeySet.import_key_set(org.signer.jwks))
    assert decoded.header == {"typ": "global-token-revocation+jwt", "alg": "RS256"}
    claims = decoded.claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == (ISSUER, "the-client", APPLICATION.revocation_url)
    assert (claims["exp"] - claims["iat"], claims["iat"] - claims["nbf"]) == (300, 300)
    assert claims["jti"]


def test_who_is_deactivated_is_out_and_cannot_sign_in_until_they_are_activated(org):
    cookie = cookie_of(sign_in(org))
    shown = ask(org, "POST", "/lifecycle", form={"person": ANN.id, "lifecycle": "deactivate"}).body
    assert "Deactivated: Ann Ames" in shown
    assert "provisioning of the application is not set up" in shown
    assert "Sign in to Acme" in ask(org, "GET", "/oauth2/v1/authorize", WANTED, cookie=cookie).body
    assert sign_in(org).status == "400 Bad Request"
    assert location(sign_in(org, BEN))[1]["code"]
    ask(org, "POST", "/lifecycle", form={"person": ANN.id, "lifecycle": "activate"})
    assert location(sign_in(org))[1]["code"]


def test_who_is_not_assigned_is_not_provisioned(org):
    shown = ask(org, "POST", "/lifecycle", form={"person": CLEO.id, "lifecycle": "deactivate"}).body
    assert "SCIM, and the answers" not in shown


@pytest.mark.parametrize(
    ("form", "origin"),
    [
        ({"person": "nobody", "lifecycle": "deactivate"}, ""),
        ({"person": ANN.id, "lifecycle": "delete"}, ""),
        ({"person": ANN.id, "lifecycle": "deactivate"}, "https://evil.example"),
    ],
)
def test_other_lifecycles_are_refused(org, form, origin):
    assert ask(org, "POST", "/lifecycle", form=form, origin=origin).status == "400 Bad Request"
    assert org.organisation.is_active(ANN)
