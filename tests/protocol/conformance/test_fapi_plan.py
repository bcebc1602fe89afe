"""The modules of the Foundation's FAPI 2.0 Security Profile plan for OPs: private_key_jwt, DPoP, plain FAPI, OpenID Connect.

The name of a test is that of its module without `fapi2-security-profile-…-`. Modules about signed request objects belong to
Message Signing; what needs an hour or a minute of waiting (`par-attempt-to-use-expired-request_uri`,
`ensure-token-endpoint-fails-with-expired-auth-code`) is shown with a moved clock in tests/protocol/pushed and token.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.protocol.conformance.bank import Bank
from tests.protocol.conformance.parties import Page, sign_in
from tests.support.dpop import Prover, signed
from tests.support.oauth import VERIFIER

pytestmark = pytest.mark.once
FAPI = "FAPI 2.0 Security Profile"
STRONG = {"PS256", "ES256", "EdDSA"}
Make = Callable[..., Bank]


def refused(response: requests.Response, *errors: str) -> bool:
    assert response.status_code in (400, 401), response.text
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json()["error"] in errors, response.text
    return True


# --- discovery, and the way that works --------------------------------------------------------------------------------


@pytest.mark.spec(FAPI, "5.3.2.1", "Metadata says endpoint, methods and algorithms of the profile")
def test_discovery_end_point_verification(metadata: dict[str, Any]) -> None:
    assert metadata["pushed_authorization_request_endpoint"].startswith(metadata["issuer"])
    assert "private_key_jwt" in metadata["token_endpoint_auth_methods_supported"]
    assert STRONG & set(metadata["token_endpoint_auth_signing_alg_values_supported"])
    assert STRONG & set(metadata["id_token_signing_alg_values_supported"])
    assert set(metadata["dpop_signing_alg_values_supported"]) <= STRONG
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    well_known = f"{metadata['issuer']}.well-known/oauth-authorization-server"
    assert requests.get(well_known, timeout=20).json() == metadata


@pytest.mark.spec(FAPI, "5.3.2.2", "Pushed request, PKCE, iss, bound tokens")
def test_happy_flow(bank: Make) -> None:
    rp = bank()
    tokens = rp.log_in()
    assert rp.resource(tokens["access_token"], rp.resource_proof(tokens["access_token"])) == 200
    other = bank("bank-two")
    assert other.log_in()["claims"]["sub"] == tokens["claims"]["sub"]


def test_access_token_type_header_case_sensitivity(bank: Make) -> None:
    rp = bank()
    token = rp.log_in()["access_token"]
    for scheme in ("DPoP", "dpop", "DPOP", "dPOP"):
        assert rp.resource(token, rp.resource_proof(token), scheme=scheme) == 200


@pytest.mark.parametrize("left_out", ["state", "nonce"])
def test_ensure_authorization_request_without_state_or_nonce_success(bank: Make, left_out: str) -> None:
    assert bank().log_in(**{left_out: None})["claims"]["sub"]


def test_ensure_request_object_with_64_char_nonce_success(bank: Make) -> None:
    assert bank().log_in(nonce="n" * 64)["claims"]["nonce"] == "n" * 64


def test_ensure_other_scope_order_succeeds(bank: Make) -> None:
    assert bank().log_in(scope="email openid")["claims"]["sub"]


def test_user_rejects_authentication(bank: Make) -> None:
    rp = bank("bank-asks")
    page = sign_in_only(rp, rp.bring(rp.pushed()))
    assert page.buttons["answer"]
    answer = rp.answer_at(rp.browser.submit(page, answer="deny"))
    assert answer["error"] == "access_denied"


def sign_in_only(rp: Bank, page: Page | str) -> Page:
    from tests.rps.running import MARY, PASSWORD

    assert isinstance(page, Page)
    then = rp.browser.submit(page, username=MARY, password=PASSWORD)
    assert isinstance(then, Page)
    return then


# --- pushed requests --------------------------------------------------------------------------------------------------


@pytest.mark.spec(FAPI, "5.3.2.2", "Requests that were not pushed are refused")
def test_ensure_unsigned_authorization_request_without_using_par_fails(bank: Make) -> None:
    rp = bank()
    answer = rp.answer_at(rp.browser.open(rp.metadata["authorization_endpoint"], rp.request()))
    assert answer["error"] == "invalid_request"


def test_par_attempt_reuse_request_uri(bank: Make) -> None:
    rp = bank()
    uri = rp.pushed()
    assert rp.answer_at(sign_in(rp.browser, rp.bring(uri)))["code"]
    page = rp.bring(uri)
    assert isinstance(page, Page)
    assert page.status == 400


def test_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(bank: Make) -> None:
    rp = bank()
    uri = rp.pushed()
    assert isinstance(rp.bring(uri), Page)
    assert rp.answer_at(sign_in(rp.browser, rp.bring(uri)))["code"]


def test_par_attempt_to_use_request_uri_for_different_client(bank: Make) -> None:
    uri = bank().pushed()
    page = bank("bank-two").bring(uri)
    assert isinstance(page, Page)
    assert page.status == 400


def test_par_attempt_invalid_http_method(bank: Make) -> None:
    rp = bank()
    body = rp.request() | rp.assertion()
    assert requests.put(rp.metadata["pushed_authorization_request_endpoint"], data=body, timeout=20).status_code == 405


def test_par_authorization_request_containing_request_uri(bank: Make) -> None:
    rp = bank()
    for uri in (rp.pushed(), "https://suite.example/request", "urn:ietf:params:oauth:request_uri:random"):
        assert refused(rp.push(request_uri=uri), "invalid_request", "request_uri_not_supported")


def test_par_without_duplicate_parameters(bank: Make) -> None:
    """What a browser brings is client_id and request_uri only; others do not count (state-only-outside-… too)."""
    rp = bank()
    uri = rp.pushed(state=None)
    answer = rp.answer_at(sign_in(rp.browser, rp.bring(uri, state="outside")))
    assert "state" not in answer


def test_par_ensure_pkce_required(bank: Make) -> None:
    assert refused(bank().push(code_challenge=None, code_challenge_method=None), "invalid_request")


def test_par_plain_pkce_rejected(bank: Make) -> None:
    assert refused(bank().push(code_challenge=VERIFIER, code_challenge_method="plain"), "invalid_request")


def test_ensure_registered_redirect_uri(bank: Make) -> None:
    for uri in ("https://suite.example/unregistered", f"{bank().callback}/more", f"{bank().callback}?more=1"):
        assert refused(bank().push(redirect_uri=uri), "invalid_request")


def test_ensure_redirect_uri_in_authorization_request(bank: Make) -> None:
    assert refused(bank().push(redirect_uri=None), "invalid_request")


@pytest.mark.parametrize("kind", ["code id_token", "token", "id_token"])
def test_ensure_response_type_code_idtoken_or_token_fails(bank: Make, kind: str) -> None:
    assert refused(bank().push(response_type=kind), "unsupported_response_type", "invalid_request")


# --- client assertions ------------------------------------------------------------------------------------------------


def test_ensure_client_assertion_in_token_endpoint(bank: Make) -> None:
    rp = bank()
    body = {"grant_type": "authorization_code", "code": rp.code(), "redirect_uri": rp.callback}
    body |= {"code_verifier": VERIFIER, "client_id": rp.client_id}
    proof = rp.proof_for("token_endpoint")
    response = rp.post("token_endpoint", body, proof)
    if response.json()["error"] == "use_dpop_nonce":
        response = rp.post("token_endpoint", body, rp.proof_for("token_endpoint"))
    assert refused(response, "invalid_client")


WRONG_AUDIENCES = {
    "ensure-client-assertion-with-wrong-aud-fails": "https://other.example/",
    "par-test-array-as-audience-fails": ["{issuer}", "https://other.example/"],
    "par-test-par-endpoint-url-as-audience-fails": "{issuer}oauth/par",
    "par-test-token-endpoint-url-as-audience-fails": "{issuer}oauth/token",
}


@pytest.mark.spec(FAPI, "5.3.2.1", "Only the issuer, as a string, is the audience of client assertions")
@pytest.mark.parametrize("module", WRONG_AUDIENCES)
def test_audiences_of_client_assertions(bank: Make, module: str) -> None:
    rp, wrong = bank(), WRONG_AUDIENCES[module]
    named = [wrong] if isinstance(wrong, str) else wrong
    aud = [name.format(issuer=rp.metadata["issuer"]) for name in named]
    said = rp.assertion(aud=aud[0] if isinstance(wrong, str) else aud)
    assert refused(rp.push(assertion=said), "invalid_client")
    assert refused(rp.exchange(rp.code(), assertion=said), "invalid_client")


def test_ensure_client_assertion_with_no_sub_fails(bank: Make) -> None:
    rp = bank()
    assert refused(rp.push(assertion=rp.assertion(sub=None)), "invalid_client", "invalid_request")


def test_ensure_client_assertion_with_exp_is_5_minutes_in_past_fails(bank: Make) -> None:
    rp = bank()
    assert refused(rp.push(assertion=rp.assertion(exp=int(time.time()) - 300)), "invalid_client")


@pytest.mark.parametrize(("seconds", "is_good"), [(8, True), (61, False)])
def test_par_ensure_jwt_client_assertions_nbf_in_the_future(bank: Make, seconds: int, is_good: bool) -> None:
    rp, ahead = bank(), int(time.time()) + seconds
    answer = rp.push(assertion=rp.assertion(iat=ahead, nbf=ahead, exp=ahead + 60))
    assert answer.status_code == 201 if is_good else refused(answer, "invalid_client")


def test_ensure_signed_client_assertion_with_rs256_fails(bank: Make) -> None:
    rp = bank()
    assert refused(rp.exchange(rp.code(), assertion=rp.assertion(algorithm="RS256")), "invalid_client")


# --- codes and refresh tokens -----------------------------------------------------------------------------------------


def test_attempt_reuse_authorization_code_after_one_second(bank: Make) -> None:
    rp = bank()
    code = rp.code()
    token = rp.exchange(code).json()["access_token"]
    time.sleep(1)
    assert refused(rp.exchange(code), "invalid_grant")
    assert rp.resource(token, rp.resource_proof(token)) == 401


def test_ensure_authorization_code_is_bound_to_client(bank: Make) -> None:
    assert refused(bank("bank-two").exchange(bank().code()), "invalid_grant")


def test_ensure_pkce_code_verifier_required(bank: Make) -> None:
    rp = bank()
    assert refused(rp.exchange(rp.code(), code_verifier=None), "invalid_grant", "invalid_request")


def test_incorrect_pkce_code_verifier_rejected(bank: Make) -> None:
    rp = bank()
    assert refused(rp.exchange(rp.code(), code_verifier=VERIFIER[::-1]), "invalid_grant")


def test_refresh_token(bank: Make) -> None:
    """Bound to the client; not rotated for this one, as section 5.3.2.1 wants it."""
    rp, other = bank(), bank("bank-two")
    first = rp.log_in()
    grant = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    for _ in range(2):
        again = rp.token(grant)
        assert again.status_code == 200, again.text
        assert again.json()["token_type"] == "DPoP"
        assert again.json().get("refresh_token", first["refresh_token"]) == first["refresh_token"]
        token = again.json()["access_token"]
        assert rp.resource(token, rp.resource_proof(token)) == 200
    assert refused(other.token(grant), "invalid_grant")


# --- DPoP -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec(FAPI, "5.3.2.1", "Only sender-constrained access tokens")
def test_ensure_holder_of_key_required(bank: Make) -> None:
    rp = bank()
    assert refused(rp.exchange(rp.code(), is_proved=False), "invalid_dpop_proof", "invalid_request")


def test_ensure_dpop_auth_code_binding_success(bank: Make) -> None:
    rp = bank()
    assert rp.exchange(rp.code(dpop_jkt=rp.prover.jkt)).status_code == 200


def test_ensure_dpopproof_at_par_endpoint_binding_success(bank: Make) -> None:
    rp = bank()
    uri = rp.push(proof=rp.proof_for("pushed_authorization_request_endpoint")).json()["request_uri"]
    assert rp.exchange(rp.answer_at(sign_in(rp.browser, rp.bring(uri)))["code"]).status_code == 200


def test_ensure_mismatched_dpop_jkt_fails(bank: Make) -> None:
    rp = bank()
    proof = rp.proof_for("pushed_authorization_request_endpoint")
    assert refused(rp.push(proof=proof, dpop_jkt=Prover().jkt), "invalid_request", "invalid_dpop_proof")


def test_ensure_token_endpoint_fails_with_mismatched_dpop_jkt(bank: Make) -> None:
    rp = bank()
    errors = ("invalid_request", "invalid_grant", "invalid_dpop_proof")
    assert refused(rp.exchange(rp.code(dpop_jkt=Prover().jkt)), *errors)


def test_ensure_token_endpoint_fails_with_mismatched_dpop_proof_jkt(bank: Make) -> None:
    rp = bank()
    uri = rp.push(proof=rp.proof_for("pushed_authorization_request_endpoint")).json()["request_uri"]
    code = rp.answer_at(sign_in(rp.browser, rp.bring(uri)))["code"]
    assert refused(rp.exchange(code, prover=Prover()), "invalid_request", "invalid_grant", "invalid_dpop_proof")


@pytest.mark.parametrize("seconds", [-10, 10])
def test_ensure_dpopproof_with_iat_10seconds_before_and_after_succeeds(bank: Make, seconds: int) -> None:
    rp, iat = bank(), int(time.time()) + seconds
    answer = rp.exchange(rp.code(), claims={"iat": iat})
    assert answer.status_code == 200
    token = answer.json()["access_token"]
    assert rp.resource(token, rp.resource_proof(token, iat=iat)) == 200


def test_check_dpop_proof_nbf_exp(bank: Make) -> None:
    rp, now = bank(), int(time.time())
    assert rp.exchange(rp.code(), claims={"nbf": now, "exp": now + 300}).status_code == 200


def test_dpop_negative_tests(bank: Make) -> None:
    rp = bank()
    token = rp.log_in()["access_token"]
    proof, url = rp.resource_proof, rp.metadata["userinfo_endpoint"]
    hour, now = 3600, int(time.time())
    good = {
        "header in capitals": rp.resource(token, proof(token), header="DPOP"),
        "query and fragment in htu": rp.resource(token, proof(token, htu=f"{url}?a=b#c")),
        "htu in capitals": rp.resource(token, proof(token, htu=url.replace("http://localhost", "HTTP://LOCALHOST"))),
        "claims that nobody knows": rp.resource(token, proof(token, header={"x": 1}, extra="y")),
    }
    assert set(good.values()) == {200}, good
    fixed, private = proof(token, jti="fixed"), dict(rp.prover.key.as_dict(private=True))
    assert rp.resource(token, fixed) == 200
    none = signed({"typ": "dpop+jwt", "alg": "none", "jwk": {}}, {}, rp.prover.key, "ES256").rpartition(".")[0] + "."
    bad = {
        "no proof": rp.resource(token),
        "Bearer": rp.resource(token, proof(token), scheme="Bearer"),
        "two proofs": rp.resource(token, proof(token), proof(token)),
        "not a JWT": rp.resource(token, proof(token)[:-10] + "!"),
        "no typ": rp.resource(token, proof(token, header={"typ": None})),
        "wrong typ": rp.resource(token, proof(token, header={"typ": "jwt"})),
        "no alg": rp.resource(token, proof(token, header={"alg": None})),
        "no jwk": rp.resource(token, proof(token, header={"jwk": None})),
        "private jwk": rp.resource(token, proof(token, header={"jwk": private})),
        "alg none": rp.resource(token, none),
        "alg of another key": rp.resource(token, proof(token, header={"alg": "PS256"})),
        **{
            f"no {name}": rp.resource(token, proof(token, **{name: None}))
            for name in ("jti", "htm", "htu", "iat", "ath")
        },
        "htm PUT": rp.resource(token, proof(token, htm="PUT")),
        "another htu": rp.resource(token, proof(token, htu="https://other.example/")),
        "an hour ahead": rp.resource(token, proof(token, iat=now + hour)),
        "an hour old": rp.resource(token, proof(token, iat=now - hour)),
        "the same again": rp.resource(token, fixed),
        "wrong ath": rp.resource(token, proof(token, ath="x")),
        "another key": rp.resource(token, proof(token, prover=Prover())),
        "broken signature": rp.resource(token, proof(token)[:-8] + "AAAAAAAA"),
    }
    assert set(bad.values()) <= {400, 401}, bad
