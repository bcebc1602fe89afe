"""Security event tokens (RFC 8417, OpenID Shared Signals Framework 1.0 section 4): what one must be. Signatures are the caller's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from idp.protocol.errors import ProtocolError
from idp.protocol.jwt_profile import (
    FIRST_MILLISECONDS,
    Mismatch,
    Parties,
    Profile,
    Unverified,
    audiences,
    check_claims,
    expiry,
    is_text,
    is_time,
    read_jwt,
)
from logout_app.protocol.gtr import ALGORITHMS

MEDIA_TYPE = "application/secevent+jwt"
LONGEST = 16 * 1024  # bytes
# A transmitter keeps what it could not deliver, some for a month. As long, a `jti` is remembered.
SECURITY_EVENT = Profile(
    types=frozenset({"secevent+jwt"}),
    needs_type=True,
    algorithms=ALGORITHMS,
    texts=("jti",),
    forbidden=("sub", "exp"),
    times=("iat",),
    leeway=60,
    oldest=30 * 86_400,
    longest=LONGEST,
)
LONGEST_TYPE = 255
# Events tell whole seconds, and two clocks differ a little: a sign-in is newer than an event if it is so by more than that.
BLUR = timedelta(seconds=5)


class RefusedSignal(ProtocolError):
    """`error` is `err` of RFC 8935 section 2.4."""


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One that says what it must; believed once its signature was checked.

    `until`: what was proved after that is newer than the event. `expires_at`: as long its use must be remembered.
    """

    issuer: str
    jti: str
    type: str
    event: Mapping[str, Any]
    sub_id: Any
    issued_at: datetime
    until: datetime
    expires_at: datetime


def read(encoded: str) -> Unverified:
    """Header and claims. Raises RefusedSignal."""
    try:
        return read_jwt(SECURITY_EVENT, encoded)
    except Mismatch as mismatch:
        raise RefusedSignal(f"The security event token {mismatch}.") from None


def check(token: Unverified, issuer: str, ours: Collection[str], at: datetime) -> SecurityEvent:
    """Whether it is from this transmitter, for us, new enough, and about one event. Raises RefusedSignal."""
    claims = token.claims
    if claims.get("iss") != issuer:
        raise RefusedSignal("iss is not the issuer that this connection expects.", error="invalid_issuer")
    if not set(ours) & set(audiences(claims)):
        raise RefusedSignal("aud is not what this connection is called.", error="invalid_audience")
    try:
        check_claims(SECURITY_EVENT, claims, Parties(issuer, tuple(ours)), at)
    except Mismatch as mismatch:
        raise RefusedSignal(f"The security event token {mismatch}.") from None
    uri, event = _one_event(claims.get("events"))
    issued_at = datetime.fromtimestamp(claims["iat"], UTC)
    return SecurityEvent(
        issuer,
        claims["jti"],
        uri,
        event,
        _sub_id(claims, event),
        issued_at,
        min(_happened(event, issued_at) + BLUR, at),
        expiry(SECURITY_EVENT, claims),
    )


def _one_event(events: object) -> tuple[str, Mapping[str, Any]]:
    """The CAEP interoperability profile (section 2.6) makes one event a must: two could not be acknowledged apart."""
    if not isinstance(events, dict) or len(events) != 1:
        raise RefusedSignal("events must hold exactly one event.")
    uri, event = next(iter(events.items()))
    if not is_text(uri, LONGEST_TYPE) or not isinstance(event, dict):
        raise RefusedSignal("The event must be an object, named by the URI of its type.")
    return uri, event


def _sub_id(claims: Mapping[str, Any], event: Mapping[str, Any]) -> Any:
    """At the top, or in the event where Okta has it and RISC had it; Google sends both. None: there is none."""
    given = [place[name] for place, name in ((claims, "sub_id"), (event, "subject")) if name in place]
    if len(given) == 2 and given[0] != given[1]:
        raise RefusedSignal("sub_id and the event's subject differ.")
    return given[0] if given else None


def _happened(event: Mapping[str, Any], issued_at: datetime) -> datetime:
    """When it happened, where it says so; some say it in milliseconds."""
    moment = event.get("event_timestamp")
    if isinstance(moment, int | float) and not isinstance(moment, bool) and moment >= FIRST_MILLISECONDS:
        moment = moment / 1000
    if moment is None:
        return issued_at
    if not is_time(moment):
        raise RefusedSignal("event_timestamp must be a time in seconds.")
    return datetime.fromtimestamp(moment, UTC)
