"""A client of the FAPI 2.0 plan: private_key_jwt, pushed requests, PKCE, tokens bound by DPoP."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import requests
from joserfc.jwk import Key

from tests.protocol.conformance.parties import Browser, Client, Page, query_of, sign_in
from tests.support.dpop import Prover, signed
from tests.support.oauth import CHALLENGE, VERIFIER

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PLAIN = {"client_id", "request_uri"}


@dataclass
class Bank:
    """`send` changes its next assertions, `prover` makes its proofs; both hold what is right unless a module says else."""

    metadata: dict[str, Any]
    client_id: str
    callback: str
    browser: Browser
    key: Key
    algorithm: str = "PS256"
    prover: Prover = field(default_factory=Prover)
    last_request: dict[str, str] = field(default_factory=dict)

    # --- proofs ------------------------------------------------------------------------------------------------------
    def assertion(self, *, algorithm: str = "", **changes: Any) -> dict[str, str]:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.metadata["issuer"],
            "jti": secrets.token_hex(16),
            "iat": now,
            "exp": now + 60,
        }
        said = {name: value for name, value in (claims | changes).items() if value is not None}
        by = algorithm or self.algorithm
        token = signed({"alg": by, "kid": self.client_id}, said, self.key, by)
        return {"client_assertion_type": ASSERTION, "client_assertion": token}

    def post(self, endpoint: str, body: dict[str, str], proof: str | None) -> requests.Response:
        """With a proof; once more if the answer gives a nonce that it needs."""
        headers = {} if proof is None else {"DPoP": proof}
        response = requests.post(self.metadata[endpoint], data=body, headers=headers, timeout=20)
        self.prover.nonce = response.headers.get("DPoP-Nonce", self.prover.nonce)
        return response

    def proof_for(self, endpoint: str, prover: Prover | None = None, **changes: Any) -> str:
        by = prover or self.prover
        by.nonce = by.nonce or self.prover.nonce
        return by.proof("POST", self.metadata[endpoint], **changes)

    # --- the authorization request -----------------------------------------------------------------------------------
    def request(self, **changes: str | None) -> dict[str, str]:
        parameters: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "response_type": "code",
            "scope": "openid",
            "state": secrets.token_urlsafe(8),
            "nonce": secrets.token_urlsafe(8),
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        self.last_request = {name: value for name, value in (parameters | changes).items() if value is not None}
        return self.last_request

    def push(
        self, *, assertion: dict[str, str] | None = None, proof: str | None = None, **changes: str | None
    ) -> requests.Response:
        body = self.request(**changes) | (assertion or self.assertion())
        return self.post("pushed_authorization_request_endpoint", body, proof)

    def pushed(self, **changes: str | None) -> str:
        response = self.push(**changes)
        assert response.status_code == 201, response.text
        assert 5 <= response.json()["expires_in"] <= 600
        return str(response.json()["request_uri"])

    def bring(self, request_uri: str, **more: str) -> Page | str:
        parameters = {"client_id": self.client_id, "request_uri": request_uri, **more}
        return self.browser.open(self.metadata["authorization_endpoint"], parameters)

    def answer_at(self, address: Page | str) -> dict[str, str]:
        assert isinstance(address, str), f"a page instead of an answer: {address.status} {address.url}"
        assert address.partition("?")[0] == self.callback.partition("?")[0]
        answer = query_of(address)
        assert answer.get("state") == self.last_request.get("state")
        assert answer["iss"] == self.metadata["issuer"]
        return answer

    def code(self, **changes: str | None) -> str:
        return self.answer_at(sign_in(self.browser, self.bring(self.pushed(**changes))))["code"]

    # --- the token request -------------------------------------------------------------------------------------------
    def exchange(
        self,
        code: str,
        *,
        assertion: dict[str, str] | None = None,
        prover: Prover | None = None,
        is_proved: bool = True,
        claims: dict[str, Any] | None = None,
        **changes: str | None,
    ) -> requests.Response:
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.callback}
        return self.token(
            grant | {"code_verifier": VERIFIER} | changes,
            assertion=assertion,
            prover=prover,
            is_proved=is_proved,
            claims=claims,
        )

    def token(
        self,
        grant: dict[str, Any],
        *,
        assertion: dict[str, str] | None = None,
        prover: Prover | None = None,
        is_proved: bool = True,
        claims: dict[str, Any] | None = None,
    ) -> requests.Response:
        body = {name: value for name, value in grant.items() if value is not None}
        if not is_proved:
            return self.post("token_endpoint", body | (assertion or self.assertion()), None)
        for _ in range(2):
            proof = self.proof_for("token_endpoint", prover, **(claims or {}))
            response = self.post("token_endpoint", body | (assertion or self.assertion()), proof)
            if response.json().get("error") != "use_dpop_nonce":
                break
            (prover or self.prover).nonce = response.headers["DPoP-Nonce"]
        return response

    def log_in(self, **changes: str | None) -> dict[str, Any]:
        response = self.exchange(self.code(**changes))
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        assert tokens["token_type"] == "DPoP"
        client = Client(self.metadata, self.client_id, self.callback, "", self.browser)
        client.last_request = self.last_request
        tokens["claims"] = client.validated(tokens["id_token"])
        return tokens

    # --- the resource ------------------------------------------------------------------------------------------------
    def resource_proof(self, token: str, prover: Prover | None = None, **changes: Any) -> str:
        by = prover or self.prover
        by.nonce = by.nonce or self.prover.nonce
        return by.proof("GET", self.metadata["userinfo_endpoint"], access_token=token, **changes)

    def resource(self, token: str, *proofs: str, scheme: str = "DPoP", header: str = "DPoP") -> int:
        """The status that /userinfo answers with."""
        headers = {"Authorization": f"{scheme} {token}"} | ({header: ", ".join(proofs)} if proofs else {})
        return requests.get(self.metadata["userinfo_endpoint"], headers=headers, timeout=20).status_code
