"""DPoP (RFC 9449): what a request proves to have, once; and what its application must prove.

Nonces are made of the time and our secret, so that no row is needed and every process knows those of the others. A token
request needs one (section 8): what somebody stole from a client's page was made before. Elsewhere one that is sent must be
good. A proof is spent in the database, which no restart forgets (section 11.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from idp.crypto.spent import spend
from idp.models import Application
from idp.protocol.clients import STRONG_ALGORITHMS
from idp.protocol.errors import InvalidGrant, InvalidToken, ProtocolError
from idp.protocol.jwt_profile import Mismatch
from sessions_app.oauth import proof_keys
from sessions_app.protocol import dpop
from sessions_app.protocol.dpop import DPoPProof

HEADER, NONCE_HEADER = "DPoP", "DPoP-Nonce"
NONCE_STEP = timedelta(minutes=5)  # a nonce is good in its own step and in the next
ALGORITHMS = " ".join(STRONG_ALGORITHMS)
_SALT = "curfew.dpop.nonce"


class InvalidProof(ProtocolError):
    error = "invalid_dpop_proof"


@dataclass(frozen=True, slots=True)
class Presented:
    """The proof of one request, not spent yet."""

    proof: DPoPProof | None = None

    def spent(self) -> str:
        """The thumbprint of its key; "" without a proof. Raises InvalidProof if it was used before."""
        if self.proof is None:
            return ""
        if not spend("dpop", self.proof.jkt, self.proof.jti, expires_at=self.proof.good_until):
            raise InvalidProof("The DPoP proof was used before.")
        return self.proof.jkt

    def spent_by(self, application: Application) -> str:
        """The thumbprint that new tokens are bound to; "" without a proof, for applications that may do without one."""
        if self.proof is None and application.dpop_bound_access_tokens:
            raise InvalidProof("This application must send a DPoP proof.")
        return self.spent()


NOTHING = Presented()


def of_token_request(request: HttpRequest, at: datetime) -> Presented:
    """Raises InvalidProof, also where a nonce is missing."""
    presented = _of(request, f"{settings.ISSUER}oauth/token", at)
    if presented.proof and presented.proof.nonce is None:
        raise use_nonce(at)
    return presented


def of_pushed_request(request: HttpRequest, at: datetime) -> Presented:
    return _of(request, f"{settings.ISSUER}oauth/par", at)


def check_bound(bound_to: str, jkt: str) -> None:
    """A code or refresh token that belongs to a key works with that key only (sections 5 and 10)."""
    if not bound_to or constant_time_compare(bound_to, jkt):
        return
    if not jkt:
        raise InvalidProof("A DPoP proof by the key that this grant is bound to is needed.")
    raise InvalidGrant("This grant is bound to another DPoP key.")


def check_access(bound_to: str, scheme: str, request: HttpRequest, raw: str, at: datetime) -> None:
    """Whether this request may use an access token that is bound to the key, or to none (section 7.1)."""
    if scheme != HEADER.lower():
        if bound_to:
            raise _refused("The access token is bound to a key: it needs the scheme DPoP and a proof.")
        return
    try:
        presented = _of(request, settings.ISSUER + request.path[1:], at, access_token=raw)
        if presented.proof is None:
            raise InvalidProof("A DPoP proof is needed beside the access token.")
        if not bound_to or not constant_time_compare(bound_to, presented.proof.jkt):
            raise _refused("The access token is not bound to the key of the DPoP proof.")
        presented.spent()
    except InvalidProof as error:  # section 7.1: what a protected resource refuses is 401, with the scheme
        error.status, error.headers = 401, {**error.headers, "WWW-Authenticate": _challenge(error.error)}
        raise


def hand_nonce(request: HttpRequest, response: HttpResponse, at: datetime) -> HttpResponse:
    """Whoever proves gets the nonce of today with the answer (section 8.2), so that the next request needs no second try."""
    if HEADER in request.headers:
        response.headers.setdefault(NONCE_HEADER, nonce(at))
    return response


def nonce(at: datetime, *, steps_ago: int = 0) -> str:
    step = int(at.timestamp() // NONCE_STEP.total_seconds()) - steps_ago
    return salted_hmac(_SALT, str(step), algorithm="sha256").hexdigest()[:43]


def use_nonce(at: datetime) -> InvalidProof:
    error = InvalidProof("The DPoP proof needs the nonce of the DPoP-Nonce header.", error="use_dpop_nonce")
    error.headers = {NONCE_HEADER: nonce(at)}
    return error


def _of(request: HttpRequest, url: str, at: datetime, *, access_token: str = "") -> Presented:
    encoded = request.headers.get(HEADER)
    if encoded is None:
        return NOTHING
    try:
        said = dpop.read(encoded)
        jkt, method = proof_keys.verified(said, encoded), request.method or ""
        proof = dpop.check(said, jkt, method=method, url=url, at=at, access_token=access_token)
    except (Mismatch, ValueError) as mismatch:
        raise InvalidProof(f"The DPoP proof {mismatch}.") from None
    if proof.nonce is not None and not _is_good(proof.nonce, at):
        raise use_nonce(at)
    return Presented(proof)


def _is_good(text: str, at: datetime) -> bool:
    return any(constant_time_compare(text, nonce(at, steps_ago=steps)) for steps in (0, 1))


def _refused(description: str) -> InvalidToken:
    error = InvalidToken(description)
    error.headers = {"WWW-Authenticate": _challenge(error.error)}
    return error


def _challenge(error: str) -> str:
    return f'DPoP realm="curfew", error="{error}", algs="{ALGORITHMS}"'
