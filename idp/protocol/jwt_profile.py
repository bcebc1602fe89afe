"""What a JWT that somebody presents must be, kind by kind and as data: the one checker of all of them (RFC 8725).

Pure. Signatures are the caller's, checked with keys of its own choice: what a header says about keys (`jwk`, `jku`, `x5c`)
is not looked at. A `Mismatch` says what is wrong as the end of a sentence that the caller begins ("The ID token of … ").
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

from idp.protocol.params import printable
from idp.protocol.strict_json import parse_object

FIRST_MILLISECONDS = 10_000_000_000  # a time in seconds reaches this in the year 2286
LONGEST_TEXT = 255  # characters of `jti`, `sub`, `sid`, `kid`
# They change what is signed or how it is read (RFC 7515 section 4.1.11, RFC 7797, RFC 7516); no token that we take has them.
EXTENSIONS = frozenset({"crit", "b64", "zip"})
CLOCKS = "is our clock right, and the clock there?"
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of token. Times are seconds, claims are named as on the wire.

    `types`: values of `typ` in lower case, without "application/"; `needs_type`: it may not be left out. `allowed_by`: what
    says which algorithms are allowed, for the sentence. `texts`: claims that must be text. `times`: which of `exp` and `iat`
    may not be left out; with none, times are not looked at. `lifetime`: the longest from `iat` to `exp`, or from now to `exp`
    where `iat` may be left out. `oldest`: the greatest age since `iat`, whatever `exp` says. `event`: what `events` must hold
    (RFC 8417), and that in words. `lone_audience`: `aud` may name nobody else.
    """

    types: frozenset[str]
    algorithms: tuple[str, ...]
    needs_type: bool = False
    allowed_by: str = "this endpoint"
    texts: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    leeway: int = 0
    lifetime: int | None = None
    oldest: int | None = None
    event: tuple[str, str] | None = None
    lone_audience: bool = False
    longest: int = 16_000


@dataclass(frozen=True, slots=True)
class Parties:
    """Who must have said it, to whom: `audiences` are names of one receiver, one of which must be in `aud`.

    `issuer` compares where a comparison of strings is not enough; it is given the claims. `known_as`: what our name in `aud`
    is, for the sentence.
    """

    issuer: str | Callable[[Mapping[str, Any]], bool]
    audiences: tuple[str, ...]
    known_as: str = "us"


@dataclass(frozen=True, slots=True)
class Unverified:
    """A well-formed token of the profile's header. Nothing of it is to be believed before its signature was checked."""

    algorithm: str
    kid: str | None
    claims: dict[str, Any]


class Mismatch(ValueError):
    """The token is not what the profile wants."""


def read_jwt(profile: Profile, token: object) -> Unverified:
    """Header and claims, if the header is that of such a token. Raises Mismatch."""
    if not isinstance(token, str) or not 0 < len(token) <= profile.longest:
        raise Mismatch("is missing, or is not a signed JWT of a size that we read")
    encoded_header, encoded_claims, _ = token.split(".") if is_compact(token) else ("", "", "")
    try:
        header = parse_object(decoded(encoded_header))
    except ValueError as error:
        raise Mismatch("is not a signed JWT") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in profile.algorithms:
        raise Mismatch(
            f"is signed with {printable(str(algorithm))}, which {profile.allowed_by} does not allow "
            f"({', '.join(profile.algorithms)})"
        )
    _check_type(profile, header.get("typ"))
    if not EXTENSIONS.isdisjoint(header) or not (kid is None or is_text(kid)):
        raise Mismatch("has a header that we do not understand")
    try:
        return Unverified(str(algorithm), kid, parse_object(decoded(encoded_claims)))
    except ValueError as error:
        raise Mismatch(f"holds no claims that can be read: {error}") from error


def check_claims(profile: Profile, claims: Mapping[str, Any], parties: Parties, at: datetime) -> None:
    """Every claim that the profile speaks of. Raises Mismatch at the first that is wrong."""
    _check_parties(profile, claims, parties)
    if profile.times:
        _check_times(profile, claims, at.timestamp())
    check_content(profile, claims)


def check_content(profile: Profile, claims: Mapping[str, Any]) -> None:
    """What it is about: neither who says it nor when. Raises Mismatch."""
    _check_event(profile, claims)
    for name in profile.forbidden:
        if name in claims:
            raise Mismatch(f"is another kind of token: it has a {name}")
    for name in profile.texts:
        if not is_text(claims.get(name)):
            raise Mismatch(f"has no {name}, or one that is no text of at most {LONGEST_TEXT} characters")


def expiry(profile: Profile, claims: Mapping[str, Any]) -> datetime:
    """When a token that passed `check_claims` is not accepted any more: as long, its use must be remembered."""
    ends = [moment for moment in (claims.get("exp"), _oldest(profile, claims)) if moment is not None]
    return datetime.fromtimestamp(min(ends) + profile.leeway, UTC)


def audiences(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """`aud`, one or several (RFC 7519 section 4.1.3); empty if it is anything else."""
    value = claims.get("aud")
    named = value if isinstance(value, list) else [value]
    texts = tuple(name for name in named if isinstance(name, str))
    return texts if len(texts) == len(named) else ()


def is_compact(token: str) -> bool:
    """Three parts in the characters of base64url (RFC 7515 section 7.1); the last is empty if it is not signed."""
    return _COMPACT.fullmatch(token) is not None


def is_text(value: object, longest: int = LONGEST_TEXT) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def is_time(value: object) -> TypeGuard[float]:
    """A NumericDate in seconds: neither a boolean nor text, neither endless nor in milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < FIRST_MILLISECONDS


def decoded(segment: str) -> bytes:
    """base64url without padding (RFC 7515 section 2). Raises ValueError for every other character."""
    try:
        return base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("it is not base64url") from None


def _check_type(profile: Profile, kind: object) -> None:
    if kind is None and not profile.needs_type:
        return
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in profile.types:
        raise Mismatch(f"is of another type: {printable(str(kind))}")


def _check_parties(profile: Profile, claims: Mapping[str, Any], parties: Parties) -> None:
    issuer, named = claims.get("iss"), audiences(claims)
    if not (parties.issuer(claims) if callable(parties.issuer) else issuer == parties.issuer):
        raise Mismatch(f"is from another issuer: {printable(str(issuer))}")
    if not set(parties.audiences) & set(named) or (profile.lone_audience and len(named) > 1):
        ours = printable(parties.audiences[0] if parties.audiences else "")
        raise Mismatch(f"is for somebody else: its aud is not {parties.known_as} {ours}")


def _check_times(profile: Profile, claims: Mapping[str, Any], now: float) -> None:
    expires, issued, not_before = (claims.get(name) for name in ("exp", "iat", "nbf"))
    given = [claims[name] for name in ("exp", "iat", "nbf") if name in claims]
    if not all(is_time(moment) for moment in given) or not claims.keys() >= set(profile.times):
        raise Mismatch("says no times in seconds: iat or exp is missing, or one of them or nbf is not a number")
    early = max([now, *(moment for moment in (issued, not_before) if moment is not None)]) - now
    if early > profile.leeway:
        raise Mismatch(f"is from the future, by {early:.0f} s: {CLOCKS}")
    ends = [moment for moment in (expires, _oldest(profile, claims)) if moment is not None]
    if ends and min(ends) <= now - profile.leeway:
        raise Mismatch(f"expired {now - min(ends):.0f} s ago: {CLOCKS}")
    if profile.lifetime is not None and expires is not None:
        begins = issued if "iat" in profile.times and issued is not None else now + profile.leeway
        if expires <= (issued or 0):
            raise Mismatch("expired before it was issued")
        if expires - begins > profile.lifetime:
            raise Mismatch(f"is valid for longer than {profile.lifetime} s")


def _oldest(profile: Profile, claims: Mapping[str, Any]) -> float | None:
    issued = claims.get("iat")
    return None if profile.oldest is None or issued is None else float(issued) + profile.oldest


def _check_event(profile: Profile, claims: Mapping[str, Any]) -> None:
    if profile.event is None:
        return
    uri, words = profile.event
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(uri), dict):
        raise Mismatch(f"is not about {words}: its events do not say so")
