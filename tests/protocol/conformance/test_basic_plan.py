"""The modules of the Foundation's config and basic plans, played by a confidential client that sends no PKCE."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.protocol.conformance.parties import Browser, Client, Page, sign_in
from tests.rps.running import MARY
from tests.support.receiver import Receiver

pytestmark = pytest.mark.once
CORE = "OpenID Connect Core 1.0"
Make = Callable[..., Client]


def test_oidcc_discovery_endpoint_verification(metadata: dict[str, Any]) -> None:
    issuer = metadata["issuer"]
    required = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
    assert all(metadata[name].startswith(issuer) for name in required)
    assert "code" in metadata["response_types_supported"]
    assert "public" in metadata["subject_types_supported"]
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    assert "openid" in metadata["scopes_supported"]
    assert {"client_secret_basic", "client_secret_post"} <= set(metadata["token_endpoint_auth_methods_supported"])
    keys = requests.get(metadata["jwks_uri"], timeout=20).json()["keys"]
    assert any(key["kty"] == "RSA" and key["use"] == "sig" for key in keys)
    assert len({key["kid"] for key in keys}) == len(keys)
    assert not any({"d", "p", "q", "k"} & set(key) for key in keys)


def test_oidcc_server(client: Make) -> None:
    tokens = client().log_in()
    assert tokens["token_type"].lower() == "bearer"
    assert tokens["expires_in"] > 0
    assert tokens["claims"]["at_hash"]


def test_oidcc_server_client_secret_post(client: Make) -> None:
    assert client("post", auth_method="client_secret_post").log_in()["claims"]["sub"]


@pytest.mark.spec(CORE, "3.1.2.6", "Errors go back to the client, with its state")
def test_oidcc_response_type_missing(client: Make) -> None:
    assert client().answer(response_type=None)["error"] in ("invalid_request", "unsupported_response_type")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_oidcc_userinfo_get_and_oidcc_userinfo_post_header(client: Make, method: str) -> None:
    rp = client()
    tokens = rp.log_in()
    response = rp.userinfo(tokens["access_token"], method)
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json()["sub"] == tokens["claims"]["sub"]


def test_oidcc_userinfo_post_body(client: Make) -> None:
    rp = client()
    tokens = rp.log_in()
    body = {"access_token": tokens["access_token"]}
    response = requests.post(rp.metadata["userinfo_endpoint"], data=body, timeout=20)
    assert response.json()["sub"] == tokens["claims"]["sub"]


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(client: Make) -> None:
    assert "nonce" not in client().log_in(nonce=None)["claims"]


@pytest.mark.spec(CORE, "5.4", "Scopes give their claims at the userinfo endpoint")
@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        ("openid profile", {"name", "given_name", "family_name"}),
        ("openid email", {"email", "email_verified"}),
        ("openid address", set()),
        ("openid phone", set()),
        ("openid profile email address phone", {"name", "given_name", "family_name", "email", "email_verified"}),
    ],
    ids=["profile", "email", "address", "phone", "all"],
)
def test_oidcc_scope(client: Make, scope: str, claims: set[str]) -> None:
    """oidcc-scope-profile, -email, -address, -phone, -all. Mary has no address and no telephone."""
    rp = client()
    tokens = rp.log_in(scope=scope)
    assert set(tokens["scope"].split()) == set(scope.split())
    told = rp.userinfo(tokens["access_token"]).json()
    assert claims <= set(told)
    assert ("email" in told) is ("email" in scope)
    assert ("name" in told) is ("profile" in scope)


def test_oidcc_ensure_other_scope_order_succeeds(client: Make) -> None:
    assert client().log_in(scope="email openid")["claims"]["sub"]


@pytest.mark.parametrize("display", ["page", "popup"])
def test_oidcc_display(client: Make, display: str) -> None:
    assert client().log_in(display=display)


@pytest.mark.spec(CORE, "3.1.2.1", "prompt=login signs in again")
def test_oidcc_prompt_login(client: Make) -> None:
    rp = client()
    first = rp.log_in()["claims"]
    time.sleep(1.1)
    page = rp.authorize(prompt="login")
    assert isinstance(page, Page)
    second = signed_in_again(rp, page)
    assert second["auth_time"] > first["auth_time"]
    assert second["sub"] == first["sub"]


def signed_in_again(rp: Client, page: Page) -> dict[str, Any]:
    answer = rp.answer_at(sign_in(rp.browser, page))
    return rp.validated(rp.exchange(answer["code"]).json()["id_token"])


def test_oidcc_prompt_none_not_logged_in(client: Make) -> None:
    rp = client()
    assert rp.answer_at(rp.authorize(prompt="none"))["error"] == "login_required"


def test_oidcc_prompt_none_logged_in(client: Make) -> None:
    rp = client()
    first = rp.log_in()["claims"]
    answer = rp.answer_at(rp.authorize(prompt="none"))
    second = rp.validated(rp.exchange(answer["code"]).json()["id_token"])
    assert (second["sub"], second["auth_time"]) == (first["sub"], first["auth_time"])


@pytest.mark.spec(CORE, "3.1.2.1", "max_age signs in again when the sign-in is older")
def test_oidcc_max_age_1(client: Make) -> None:
    rp = client()
    first = rp.log_in()["claims"]
    time.sleep(2)
    page = rp.authorize(max_age="1")
    assert isinstance(page, Page)
    second = signed_in_again(rp, page)
    assert second["auth_time"] > first["auth_time"]


def test_oidcc_max_age_10000(client: Make) -> None:
    rp = client()
    first = rp.log_in()["claims"]
    answer = rp.answer_at(rp.authorize(max_age="10000"))
    second = rp.validated(rp.exchange(answer["code"]).json()["id_token"])
    assert second["auth_time"] == first["auth_time"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("extra", "foobar"),
        ("login_hint", MARY),
        ("ui_locales", "se"),
        ("claims_locales", "se"),
        ("acr_values", "1 2"),
    ],
)
def test_oidcc_ensure_request_with_unknown_parameter_succeeds_and_other_optional_ones(
    client: Make, name: str, value: str
) -> None:
    """Also oidcc-login-hint, oidcc-ui-locales, oidcc-claims-locales, oidcc-ensure-request-with-acr-values-succeeds."""
    claims = client().log_in(**{name: value})["claims"]
    assert claims["acr"] in ("1", "2")


def test_oidcc_id_token_hint(client: Make) -> None:
    rp = client()
    first = rp.log_in()
    answer = rp.answer_at(rp.authorize(prompt="none", id_token_hint=first["id_token"]))
    second = rp.validated(rp.exchange(answer["code"]).json()["id_token"])
    assert second["sub"] == first["claims"]["sub"]


@pytest.mark.spec(CORE, "5.5", "The claims parameter names what userinfo must tell")
def test_oidcc_claims_essential(client: Make) -> None:
    rp = client()
    tokens = rp.log_in(claims=json.dumps({"userinfo": {"name": {"essential": True}}}))
    assert rp.userinfo(tokens["access_token"]).json()["name"] == "Mary Major"


@pytest.mark.spec(CORE, "3.1.3.1", "A code works once; used again, the tokens that it gave are revoked")
@pytest.mark.parametrize("pause", [0, 31], ids=["at_once", "30seconds"])
def test_oidcc_codereuse(client: Make, pause: float) -> None:
    """oidcc-codereuse and oidcc-codereuse-30seconds."""
    rp = client()
    code = rp.answer()["code"]
    tokens = rp.exchange(code).json()
    assert rp.userinfo(tokens["access_token"]).status_code == 200
    time.sleep(pause)
    again = rp.exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert rp.userinfo(tokens["access_token"]).status_code == 401


def test_oidcc_ensure_registered_redirect_uri(client: Make) -> None:
    rp = client()
    page = rp.authorize(redirect_uri=f"{rp.callback}-other")
    assert isinstance(page, Page)
    assert page.status == 400


@pytest.mark.spec(CORE, "3.1.2.1", "The authorization endpoint takes POST")
def test_oidcc_ensure_post_request_succeeds(client: Make) -> None:
    rp = client()
    page = rp.browser.post(rp.metadata["authorization_endpoint"], rp.request())
    assert "code" in rp.answer_at(sign_in(rp.browser, page))


def unsigned(claims: dict[str, str]) -> str:
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@pytest.mark.spec(CORE, "6", "Request objects are refused with the registered errors")
def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(client: Make) -> None:
    rp = client()
    answer = rp.answer_at(rp.authorize(request=unsigned({"state": "other", "nonce": "other"})), state="other")
    assert answer["error"] == "request_not_supported"
    assert rp.metadata["request_parameter_supported"] is False


def test_oidcc_ensure_request_object_with_redirect_uri(client: Make) -> None:
    """A redirect_uri inside a request object is not looked at."""
    rp = client()
    answer = rp.answer_at(rp.authorize(request=unsigned({"redirect_uri": "https://evil.example/callback"})))
    assert answer["error"] == "request_not_supported"


def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
    client: Make, receiver: Receiver
) -> None:
    """Nor is the address asked."""
    rp = client()
    answer = rp.answer_at(rp.authorize(request_uri=receiver.url("request.jwt")))
    assert receiver.posts("request.jwt") == []
    assert answer["error"] == "request_uri_not_supported"
    assert rp.metadata["request_uri_parameter_supported"] is False


def test_oidcc_ensure_request_with_valid_pkce_succeeds(client: Make) -> None:
    rp = client()
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
    code = rp.answer(code_challenge=challenge, code_challenge_method="S256")["code"]
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": rp.callback}
    answer = rp.token(body | {"code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"})
    assert answer.status_code == 200


@pytest.mark.spec(CORE, "12", "A refresh gives an ID token of the same sign-in")
def test_oidcc_refresh_token(client: Make, metadata: dict[str, Any]) -> None:
    rp = client()
    first = rp.log_in(scope="openid offline_access", prompt="consent")
    body = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = rp.token(body).json()
    claims = rp.verified(second["id_token"])
    for name in ("iss", "sub", "aud", "auth_time", "sid"):
        assert claims[name] == first["claims"][name]
    # The second client may not use what was given to the first.
    other = Client(metadata, "second", rp.callback, rp.after_logout, Browser(metadata["issuer"]))
    assert other.token(body | {"refresh_token": second["refresh_token"]}).json()["error"] == "invalid_grant"
