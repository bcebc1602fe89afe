"""PyPI authlib, unmodified, as a client of FAPI 2.0: `private_key_jwt` for our issuer, and a pushed request.

Authlib 1.9 pushes by its session's `post` with its own client authentication, and knows no DPoP: the proofs are joserfc's,
put where authlib lets others sign (`headers` of `fetch_token`, `SIGN_METHODS` of a token's type).
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from authlib.integrations.base_client import UnsupportedTokenTypeError
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT

from tests.protocol.conformance.conftest import BANK_KEYS, RP
from tests.protocol.conformance.parties import Browser, sign_in
from tests.rps.running import MARY
from tests.support.dpop import Prover
from tests.support.oauth import VERIFIER

pytestmark = pytest.mark.once
FAPI = "FAPI 2.0 Security Profile"


@pytest.fixture
def bank_session(metadata: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuth2Session]:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    client = OAuth2Session(
        "bank",
        BANK_KEYS["bank"],
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint=metadata["token_endpoint"],
        scope="openid email",
        redirect_uri=f"{RP}/bank/callback",
        code_challenge_method="S256",
        default_timeout=20,
    )
    client.register_client_auth_method(assertions_for(metadata["issuer"]))
    with client:
        yield client


def assertions_for(audience: str | None) -> PrivateKeyJWT:
    """None: authlib's own choice, which is the address that is asked."""
    return PrivateKeyJWT(audience, alg="PS256", headers={"kid": "bank"})


def push(client: OAuth2Session, metadata: dict[str, Any]) -> requests.Response:
    url, client.state = client.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=VERIFIER, nonce="n-0S6_WzA2Mj"
    )
    return client.post(
        metadata["pushed_authorization_request_endpoint"],
        data=dict(parse_qsl(urlsplit(url).query)),
        auth=client.client_auth("private_key_jwt"),
        withhold_token=True,
    )


def answer(metadata: dict[str, Any], pushed: requests.Response) -> str:
    """The address at which the application hears of Mary's sign-in."""
    browser = Browser(metadata["issuer"])
    query = {"client_id": "bank", "request_uri": pushed.json()["request_uri"]}
    address = sign_in(browser, browser.open(metadata["authorization_endpoint"], query))
    assert isinstance(address, str)
    return address


def bind(client: OAuth2Session, prover: Prover, metadata: dict[str, Any]) -> None:
    """What authlib lacks for DPoP: the nonce of each answer, and how a bound token is shown."""

    def remember(response: requests.Response) -> requests.Response:
        prover.nonce = response.headers.get("DPoP-Nonce", prover.nonce)
        return response

    def show(token: str, uri: str, headers: MutableMapping[str, str], body: Any, _: str) -> tuple[str, Any, Any]:
        proof = prover.proof("GET", metadata["userinfo_endpoint"], access_token=token)
        headers.update({"Authorization": f"DPoP {token}", "DPoP": proof})
        return uri, headers, body

    for hook in ("access_token_response", "refresh_token_response"):
        client.register_compliance_hook(hook, remember)
    client.token_auth.SIGN_METHODS = {"dpop": show}


@pytest.mark.spec("SDK contract", "authlib", "The unmodified client pushes its request and proves itself by its key")
def test_authlib_pushes_its_request_and_uses_bound_tokens(
    bank_session: OAuth2Session, metadata: dict[str, Any]
) -> None:
    pushed = push(bank_session, metadata)
    assert pushed.status_code == 201, pushed.text
    address, prover, endpoint = answer(metadata, pushed), Prover(), metadata["token_endpoint"]

    def fetch() -> Any:
        proof = {"DPoP": prover.proof("POST", endpoint)}
        return bank_session.fetch_token(authorization_response=address, code_verifier=VERIFIER, headers=proof)

    with pytest.raises(OAuthError, match=r"invalid_request|invalid_dpop_proof"):
        bank_session.fetch_token(authorization_response=address, code_verifier=VERIFIER)
    bind(bank_session, prover, metadata)
    with pytest.raises(OAuthError, match="use_dpop_nonce"):
        fetch()
    tokens = fetch()
    assert tokens["token_type"] == "DPoP"
    assert bank_session.get(metadata["userinfo_endpoint"]).json()["email"] == MARY
    again = bank_session.refresh_token(endpoint, headers={"DPoP": prover.proof("POST", endpoint)})
    assert again["token_type"] == "DPoP"
    assert bank_session.get(metadata["userinfo_endpoint"]).json()["email"] == MARY


def test_authlib_alone_does_not_know_bound_tokens(bank_session: OAuth2Session, metadata: dict[str, Any]) -> None:
    """Once it does, `bind()` has no reason to be."""
    bank_session.token = {"access_token": "x", "token_type": "DPoP"}
    with pytest.raises(UnsupportedTokenTypeError):
        bank_session.get(metadata["userinfo_endpoint"])


@pytest.mark.spec(FAPI, "5.3.2.1", "Client assertions are for the issuer as a string only")
@pytest.mark.parametrize("audience", [None, "https://another.example/"])
def test_an_assertion_for_anything_but_the_issuer_proves_nothing(
    bank_session: OAuth2Session, metadata: dict[str, Any], audience: str | None
) -> None:
    bank_session.register_client_auth_method(assertions_for(audience))
    refused = push(bank_session, metadata)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
