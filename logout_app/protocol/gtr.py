"""Global Token Revocation: what a request must be (draft-parecki-oauth-global-token-revocation, and Okta's profile of it).

The token proves who asks, the body says about whom. Pure: signatures are checked by the caller, against the keys of the
connection only; what the token says about keys (`jwk`, `jku`, `x5c`) is never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from idp.protocol.errors import InvalidRequest, InvalidToken
from idp.protocol.jwt_profile import (
    LONGEST_TEXT,
    Mismatch,
    Parties,
    Profile,
    Unverified,
    check_claims,
    expiry,
    is_compact,
    is_text,
    read_jwt,
)
from idp.protocol.strict_json import parse_object

TYP = "global-token-revocation+jwt"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LONGEST_BODY = 16 * 1024  # bytes
# What Okta sends: `nbf` five minutes ago, `exp` in five minutes.
REVOCATION_REQUEST = Profile(
    types=frozenset({TYP}),
    needs_type=True,
    algorithms=ALGORITHMS,
    texts=("jti",),
    times=("exp", "iat"),
    leeway=60,
    lifetime=600,
    lone_audience=True,
    longest=8 * 1024,
)
MOST_ALIASES = 10
LONGEST_EMAIL = 254
_MEMBERS: Mapping[str, tuple[str, ...]] = {"iss_sub": ("iss", "sub"), "email": ("email",), "opaque": ("id",)}
# RFC 9493 defines these too; none of them names a person of ours.
_OTHERS = frozenset({"account", "phone_number", "did", "uri"})


class Forbidden(InvalidToken):
    """Whoever asks is who they say, and may not ask this here."""

    error = "insufficient_scope"
    status = 403


@dataclass(frozen=True, slots=True)
class ExpectedRequest:
    """What a token for one connection must say, compared as strings."""

    issuer: str
    subject: str  # what the identity provider calls us: client_id, or the id of its SAML application
    audience: str  # the endpoint's URL, without query and fragment


@dataclass(frozen=True, slots=True)
class RequestProof:
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
    if len(token) > REVOCATION_REQUEST.longest or not is_compact(token) or token.endswith("."):
        raise refused("not a compact JWS, or too long")
    return token


def read_token(token: str) -> Unverified:
    """Header and claims. Raises InvalidToken unless the header is that of a revocation request."""
    try:
        return read_jwt(REVOCATION_REQUEST, token)
    except Mismatch as mismatch:
        raise refused(f"it {mismatch}") from None


def check(token: Unverified, expected: ExpectedRequest, at: datetime) -> RequestProof:
    """Whether the token is from the connection's issuer, for this endpoint, and valid now. Raises InvalidToken."""
    try:
        check_claims(
            REVOCATION_REQUEST,
            token.claims,
            Parties(expected.issuer, (expected.audience,), "the URL of this endpoint"),
            at,
        )
    except Mismatch as mismatch:
        raise refused(f"it {mismatch}") from None
    return RequestProof(token.claims["jti"], expiry(REVOCATION_REQUEST, token.claims))


def check_subject(token: Unverified, expected: ExpectedRequest) -> None:
    """The last question, once the signature is known to be good: whether the issuer means this connection of ours."""
    if token.claims.get("sub") != expected.subject:
        description = "The token's sub is another application than the one that this connection is there."
        raise Forbidden(description)


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
    longest = LONGEST_EMAIL if kind == "email" else LONGEST_TEXT
    if not all(is_text(text, longest) for text in values):
        raise InvalidRequest(f"{' and '.join(names)} must be text of 1 to {longest} printable characters.")
    return Subject(kind, values)


def refused(detail: str) -> InvalidToken:
    """One sentence for whatever is wrong: what exactly is for our log and the connection's page."""
    return InvalidToken(
        "This token does not prove that the connection's identity provider asks, now and at this endpoint.",
        detail=detail,
    )
