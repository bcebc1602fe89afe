"""Global Token Revocation: what a request must be (draft-parecki-oauth-global-token-revocation, and Okta's profile of it).

The token proves who asks, the body says about whom. Pure: signatures are checked by the caller, against the keys of the
connection only; what the token says about keys (`jwk`, `jku`, `x5c`) is never read.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from idp.protocol.errors import InvalidRequest, InvalidToken
from idp.protocol.strict_json import parse_object

TYP = "global-token-revocation+jwt"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LONGEST_BODY = 16 * 1024  # bytes
LONGEST_TOKEN = 8 * 1024
LONGEST_LIFE = timedelta(minutes=10)
LEEWAY = timedelta(seconds=60)
MOST_ALIASES = 10
LONGEST_VALUE = 255
LONGEST_EMAIL = 254
LATEST = 10**11  # seconds: past the year 5000
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_MEMBERS: Mapping[str, tuple[str, ...]] = {"iss_sub": ("iss", "sub"), "email": ("email",), "opaque": ("id",)}
# RFC 9493 defines these too; none of them names a person of ours.
_OTHERS = frozenset({"account", "phone_number", "did", "uri"})


class Forbidden(InvalidToken):
    """Whoever asks is who they say, and may not ask this here."""

    error = "insufficient_scope"
    status = 403


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token for one connection must say, compared as strings."""

    issuer: str
    subject: str  # what the identity provider calls us: client_id, or the id of its SAML application
    audience: str  # the endpoint's URL, without query and fragment


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is well-formed. Nothing of it is believed before its signature was checked."""

    algorithm: str
    kid: str | None
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Proof:
    """Of a token that is believed: by what it is known, and until when it would be accepted."""

    jti: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject identifier (RFC 9493 section 3): `values` in the order of the format's members."""

    format: str
    values: tuple[str, ...]


def bearer(authorization: str) -> str:
    """The token of the Authorization header (RFC 6750 section 2.1): exactly one, and nowhere else."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidToken("Send a signed JWT in the Authorization header, as a bearer token.")
    if len(token) > LONGEST_TOKEN or not _TOKEN.fullmatch(token):
        raise refused("not a compact JWS, or too long")
    return token


def read_token(token: str) -> Token:
    """Header and claims. Raises InvalidToken unless the header is that of a revocation request."""
    try:
        header, claims = (parse_object(_decoded(part)) for part in token.split(".")[:2])
    except ValueError as error:
        raise refused(f"header or payload: {error}") from None
    typ, algorithm, kid = header.get("typ"), header.get("alg"), header.get("kid")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") != TYP:
        raise refused("typ is not that of a revocation request")
    if algorithm not in ALGORITHMS:
        raise refused("alg is not an asymmetric algorithm that we know")
    if kid is not None and not _is_text(kid, LONGEST_VALUE):
        raise refused("kid is not a string")
    if not {"crit", "zip", "b64"}.isdisjoint(header):
        raise refused("the header asks for an extension")
    return Token(str(algorithm), kid, claims)


def check(token: Token, expected: Expected, at: datetime) -> Proof:
    """Whether the token is from the connection's issuer, for this endpoint, and valid now. Raises InvalidToken."""
    claims = token.claims
    if claims.get("iss") != expected.issuer:
        raise refused("iss is not the issuer of this connection")
    if claims.get("aud") not in (expected.audience, [expected.audience]):
        raise refused("aud is not the URL of this endpoint")
    expires = _check_times(claims, at.timestamp())
    jti = claims.get("jti")
    if not _is_text(jti, LONGEST_VALUE):
        raise refused("jti is missing")
    return Proof(str(jti), datetime.fromtimestamp(expires, UTC) + LEEWAY)


def check_subject(token: Token, expected: Expected) -> None:
    """The last question, once the signature is known to be good: whether the issuer means this connection of ours."""
    if token.claims.get("sub") != expected.subject:
        description = "The token's sub is another application than the one that this connection is there."
        raise Forbidden(description)


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    """`exp`. What Okta sends: `nbf` five minutes ago, `exp` in five minutes."""
    leeway = LEEWAY.total_seconds()
    issued, expires = _number(claims, "iat"), _number(claims, "exp")
    not_before = _number(claims, "nbf") if "nbf" in claims else issued
    if max(issued, not_before) > now + leeway:
        raise refused("not valid yet")
    if expires <= now - leeway:
        raise refused("expired")
    if not 0 < expires - issued <= LONGEST_LIFE.total_seconds():
        raise refused("valid for longer than ten minutes")
    return expires


def read_body(body: bytes) -> tuple[Subject, ...]:
    """Whom the request is about: `sub_id`, or `subject` as drafts before -03 and Auth0 call it; several for `aliases`.

    Members beside it are ignored, members inside it that its format does not have are not (RFC 9493 section 3).
    """
    try:
        document = parse_object(body)
    except ValueError as error:
        raise InvalidRequest(f"The body cannot be read as a JSON object: {error}.") from None
    given = [document[name] for name in ("sub_id", "subject") if name in document]
    if not given:
        raise InvalidRequest("sub_id is missing.")
    if given[0] != given[-1]:
        raise InvalidRequest("sub_id and subject differ.")
    return _subjects(given[0])


def _subjects(value: Any) -> tuple[Subject, ...]:
    if not isinstance(value, dict) or not isinstance(value.get("format"), str):
        raise InvalidRequest("sub_id must be an object with a format.")
    if value["format"] != "aliases":
        return (_subject(value),)
    identifiers = value.get("identifiers")
    if value.keys() != {"format", "identifiers"} or not isinstance(identifiers, list):
        raise InvalidRequest("A subject of the format aliases has identifiers and nothing else.")
    if not 0 < len(identifiers) <= MOST_ALIASES:
        raise InvalidRequest(f"aliases holds one to {MOST_ALIASES} identifiers.")
    return tuple(_subject(identifier) for identifier in identifiers)


def _subject(value: Any) -> Subject:
    kind = value.get("format") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _MEMBERS:
        known = "is not supported" if kind in _OTHERS else "is not known"
        raise InvalidRequest(f"This format of a subject {known}: use iss_sub, email or opaque.")
    names = _MEMBERS[kind]
    if value.keys() != {"format", *names}:
        raise InvalidRequest(f"A subject of the format {kind} has {' and '.join(names)} and nothing else.")
    values = tuple(value[name] for name in names)
    longest = LONGEST_EMAIL if kind == "email" else LONGEST_VALUE
    if not all(_is_text(text, longest) for text in values):
        raise InvalidRequest(f"{' and '.join(names)} must be text of 1 to {longest} printable characters.")
    return Subject(kind, values)


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("not base64url") from None


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > LATEST:
        raise refused(f"{name} is missing or not a time")
    return float(value)


def refused(detail: str) -> InvalidToken:
    """One sentence for whatever is wrong: what exactly is for our log and the connection's page."""
    return InvalidToken(
        "This token does not prove that the connection's identity provider asks, now and at this endpoint.",
        detail=detail,
    )
