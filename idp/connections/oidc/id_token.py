"""The checks of an ID token: OpenID Connect Core sections 3.1.3.7 and 3.1.3.8."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

from idp.connections.oidc import issuers
from idp.connections.oidc.signed import FindKeys, Signed, verified
from idp.connections.upstream import UpstreamFault
from idp.protocol.params import printable

SKEW = 60  # seconds that two clocks may differ
TYPES = frozenset({"jwt"})
LONGEST_SUBJECT = 255
FIRST_MILLISECONDS = 10_000_000_000  # a time in seconds reaches this in the year 2286


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token must say. `access_token` is the one that came with it, for `at_hash`."""

    issuer: str
    client_id: str
    nonce: str
    algorithms: tuple[str, ...]
    access_token: str = ""
    needs_auth_time: bool = False


def verify(token: object, expected: Expected, find: FindKeys, at: datetime) -> dict[str, Any]:
    """The claims of the token, every one of them checked that is ours to check. Raises UpstreamFault."""
    what = f"The ID token of {expected.issuer}"
    signed = verified(what, token, algorithms=expected.algorithms, types=TYPES, find=find)
    claims = signed.claims
    wrong = (
        _wrong_parties(claims, expected)
        or _wrong_times(claims, at)
        or _wrong_binding(signed, expected)
        or _wrong_auth_time(claims, expected, at)
    )
    if wrong:
        raise UpstreamFault(f"{what} {wrong}.")
    return claims


def _wrong_parties(claims: dict[str, Any], expected: Expected) -> str:
    """Rules 2 to 5: who says it, to whom, about whom."""
    issuer, audience, party = claims.get("iss"), claims.get("aud"), claims.get("azp")
    if not issuers.matches(expected.issuer, issuer, claims.get("tid")):
        return f"is from another issuer: {printable(str(issuer))}"
    audiences = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(value, str) for value in audiences) or expected.client_id not in audiences:
        return f"is for somebody else: its aud is not our client_id {printable(expected.client_id)}"
    if (len(audiences) > 1 or party is not None) and party != expected.client_id:
        return f"was issued to somebody else: its azp is not our client_id {printable(expected.client_id)}"
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        return "names nobody: sub is missing or too long"
    return ""


def _wrong_times(claims: dict[str, Any], at: datetime) -> str:
    """Rules 9 and 10."""
    now = at.timestamp()
    expiry, issued, not_before = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not is_time(expiry) or not is_time(issued) or not is_time(not_before):
        return "says no times in seconds: exp, iat or nbf is missing or not a number"
    if expiry <= now - SKEW:
        return f"expired {now - expiry:.0f} s ago: is our clock right, and the clock there?"
    early = max(issued, not_before) - now
    return f"is from the future, by {early:.0f} s: is our clock right, and the clock there?" if early > SKEW else ""


def _wrong_binding(signed: Signed, expected: Expected) -> str:
    """Rule 11: it answers this sign-in; section 3.1.3.8: it came with this access token."""
    nonce = signed.claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        return "belongs to another sign-in: its nonce is not ours"
    named = signed.claims.get("at_hash")
    if named is not None and named != hash_of(expected.access_token, signed.alg):
        return "belongs to another access token: its at_hash does not fit"
    return ""


def _wrong_auth_time(claims: dict[str, Any], expected: Expected, at: datetime) -> str:
    """Rules 12 and 13: an upstream that was asked for max_age says when. Whether that is recent enough is for the caller."""
    moment = claims.get("auth_time")
    if moment is None:
        return (
            "does not say when the person signed in (auth_time), which max_age asks for"
            if expected.needs_auth_time
            else ""
        )
    if not is_time(moment) or moment > at.timestamp() + SKEW:
        return "has an auth_time that is not a time in the past"
    return ""


def is_time(value: object) -> TypeGuard[float]:
    """A NumericDate in seconds: neither a boolean nor text, neither endless nor in milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < FIRST_MILLISECONDS


def moment_of(value: float) -> datetime:
    return datetime.fromtimestamp(value, UTC)


def hash_of(access_token: str, alg: str) -> str:
    """`at_hash`: the left half of the hash that the signature's algorithm uses."""
    name = {"256": "sha256", "384": "sha384"}.get(alg[-3:], "sha512")
    digest = hashlib.new(name, access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
