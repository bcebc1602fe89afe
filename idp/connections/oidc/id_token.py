"""The checks of an ID token: OpenID Connect Core sections 3.1.3.7 and 3.1.3.8."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import issuers
from idp.connections.oidc.signed import LONGEST, SETTING, SKEW, FindKeys, verified
from idp.protocol.jwt_profile import Mismatch, Parties, Profile, Unverified, audiences, check_claims, is_time
from idp.protocol.params import printable

LONGEST_SUBJECT = 255
_MOMENT = re.compile(
    r"(?P<seconds>[0-9]{1,11})|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z"
)
ID_TOKEN = Profile(
    types=frozenset({"jwt"}),
    algorithms=(),  # the connection's
    allowed_by=SETTING,
    times=("exp", "iat"),
    leeway=SKEW,
    longest=LONGEST,
)


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
    profile = replace(ID_TOKEN, algorithms=expected.algorithms)
    signed = verified(what, token, profile=profile, find=find)
    claims = _in_seconds(signed.claims)
    try:
        check_claims(profile, claims, parties(expected.issuer, expected.client_id), at)
    except Mismatch as mismatch:
        raise UpstreamFault(f"{what} {mismatch}.") from mismatch
    wrong = (
        _wrong_party(claims, expected.client_id)
        or _wrong_binding(signed, expected)
        or _wrong_auth_time(claims, expected, at)
    )
    if wrong:
        raise UpstreamFault(f"{what} {wrong}.")
    return claims


def _in_seconds(claims: dict[str, Any]) -> dict[str, Any]:
    """`auth_time` as the specification has it. ADFS writes a date (dexidp/dex pull request 2639), others digits as text."""
    said = claims.get("auth_time")
    if not isinstance(said, str) or not (found := _MOMENT.fullmatch(said)):
        return claims
    try:
        moment = float(said) if found["seconds"] else datetime.fromisoformat(said).timestamp()
    except ValueError:  # a day that no calendar has
        return claims
    return {**claims, "auth_time": moment}


def parties(issuer: str, client_id: str) -> Parties:
    """An upstream says it to us."""

    def is_theirs(claims: Mapping[str, Any]) -> bool:
        return issuers.matches(issuer, claims.get("iss"), claims.get("tid"))

    return Parties(is_theirs, (client_id,), known_as="our client_id")


def _wrong_party(claims: dict[str, Any], client_id: str) -> str:
    """Rules 4 and 5: to whom it was issued, and about whom."""
    party = claims.get("azp")
    if (len(audiences(claims)) > 1 or party is not None) and party != client_id:
        return f"was issued to somebody else: its azp is not our client_id {printable(client_id)}"
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        return "names nobody: sub is missing or too long"
    return ""


def _wrong_binding(signed: Unverified, expected: Expected) -> str:
    """Rule 11: it answers this sign-in; section 3.1.3.8: it came with this access token."""
    nonce = signed.claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        return "belongs to another sign-in: its nonce is not ours"
    named = signed.claims.get("at_hash")
    if named is not None and named != hash_of(expected.access_token, signed.algorithm):
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


def moment_of(value: float) -> datetime:
    return datetime.fromtimestamp(value, UTC)


def hash_of(access_token: str, alg: str) -> str:
    """`at_hash`: the left half of the hash that the signature's algorithm uses."""
    name = {"256": "sha256", "384": "sha384"}.get(alg[-3:], "sha512")
    digest = hashlib.new(name, access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
