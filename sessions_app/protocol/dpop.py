"""DPoP proofs (RFC 9449): a JWT by which a client shows, for one request, that it has the key that its tokens are bound to.

Pure. Whether the proof came before, and what nonces are good, is for the caller.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from idp.protocol.clients import STRONG_ALGORITHMS
from idp.protocol.jwt_profile import Mismatch, Profile, check_content, decoded, is_time, read_jwt
from idp.protocol.strict_json import parse_object

PROOF = Profile(
    types=frozenset({"dpop+jwt"}),
    needs_type=True,
    algorithms=STRONG_ALGORITHMS,
    texts=("jti", "htm", "htu"),
    longest=8_000,
)
WINDOW = timedelta(minutes=5)  # section 11.1: how old, by the client's clock, a proof may be, and how far ahead
KINDS: Mapping[str, Mapping[str, str]] = {  # what the key of an algorithm says of itself (RFC 7518, RFC 8037)
    "PS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
SECRET = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # members of private and symmetric keys
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Said:
    """A well-formed proof. Nothing of it is to be believed before `jwk` was seen to have signed it."""

    algorithm: str
    jwk: dict[str, Any]
    claims: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DPoPProof:
    """A proof that holds for its request. `jkt`: the thumbprint of its key; `good_until`: then it is refused anyway."""

    jkt: str
    jti: str
    nonce: str | None
    good_until: datetime


def read(encoded: str) -> Said:
    """What a proof says, and the public key in its header (section 4.2). Raises Mismatch."""
    said = read_jwt(PROOF, encoded)
    jwk = parse_object(decoded(encoded.split(".")[0])).get("jwk")
    if not isinstance(jwk, dict):
        raise Mismatch("has no jwk in its header")
    if SECRET & jwk.keys():
        raise Mismatch("holds a private or symmetric key, which has to stay secret")
    if any(jwk.get(name) != value for name, value in KINDS[said.algorithm].items()):
        raise Mismatch(f"has a key that is not for {said.algorithm}")
    return Said(said.algorithm, jwk, said.claims)


def check(said: Said, jkt: str, *, method: str, url: str, at: datetime, access_token: str = "") -> DPoPProof:
    """Section 4.3, but for the signature, the nonce and replay. Raises Mismatch."""
    check_content(PROOF, said.claims)
    _check_request(said.claims, method, url)
    if access_token and said.claims.get("ath") != hash_of(access_token):
        raise Mismatch("is for another access token (ath)")
    nonce = said.claims.get("nonce")
    if nonce is not None and not isinstance(nonce, str):
        raise Mismatch("has a nonce that is no text")
    return DPoPProof(jkt, said.claims["jti"], nonce, _good_until(said.claims, at))


def is_thumbprint(text: str) -> bool:
    """RFC 7638 with SHA-256, as `dpop_jkt` gives it (section 10)."""
    return _THUMBPRINT.match(text) is not None


def hash_of(access_token: str) -> str:
    """`ath`."""
    digest = hashlib.sha256(access_token.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _check_request(claims: Mapping[str, Any], method: str, url: str) -> None:
    if claims["htm"] != method:
        raise Mismatch("is for another method (htm)")
    if _normal(claims["htu"]) != _normal(url):
        raise Mismatch("is for another address (htu)")


def _good_until(claims: Mapping[str, Any], at: datetime) -> datetime:
    issued = claims.get("iat")
    if not is_time(issued):
        raise Mismatch("says no time in seconds (iat)")
    if abs(at.timestamp() - issued) > WINDOW.total_seconds():
        raise Mismatch("is too old, or from the future (iat): is the clock right?")
    return datetime.fromtimestamp(issued, UTC) + WINDOW


def _normal(url: str) -> tuple[str, str, int | None, str]:
    """Without query and fragment, by the rules of RFC 3986 section 6.2 that section 4.3 speaks of."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Mismatch("is for an address that cannot be read (htu)") from None
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), port or _PORTS.get(scheme), parts.path or "/"
