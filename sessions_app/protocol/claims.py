"""What ID tokens, access tokens and /userinfo say about a person (OpenID Connect Core sections 2, 3.1.3.6, 5.1 to 5.5)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from idp.protocol import assurance, token_dialects
from idp.protocol.standard_scopes import CLAIMS

_ACR = {assurance.SINGLE: "1", assurance.MULTI: "2"}
_METHODS = {"password": "pwd", "totp": "otp", "recovery_codes": "otp", "webauthn": "hwk"}


@dataclass(frozen=True, slots=True)
class Authentication:
    """The sign-in that a token speaks of.

    `named`: the class as the client asked for it, if it was reached. `session_expires_at`: when the session was to end at
    the sign-in.
    """

    sub: str
    sid: str
    auth_time: datetime
    methods: list[str] = field(default_factory=list)
    named: str = ""
    session_expires_at: datetime | None = None

    @property
    def acr(self) -> str:
        return self.named or _ACR[assurance.level(self.methods)]


def methods(amr: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of RFC 8176 for what a session recorded."""
    names = [str(entry.get("name", "")) for entry in amr]
    return list(dict.fromkeys(_METHODS.get(name, name) for name in names if name))


def id_token(
    who: Authentication,
    *,
    issuer: str,
    client_id: str,
    at: datetime,
    lifetime: int,
    access_token: str,
    algorithm: str = "RS256",
    nonce: str = "",
    profile: Mapping[str, Any],
    session_expiry: int | None = None,
) -> dict[str, Any]:
    """`session_expiry`: seconds since the epoch (IPSIE OpenID Connect SL1); None: not said."""
    issued = int(at.timestamp())
    claims: dict[str, Any] = {
        **profile,
        "iss": issuer,
        "sub": who.sub,
        "aud": client_id,
        "iat": issued,
        "exp": issued + lifetime,
        "auth_time": int(who.auth_time.timestamp()),
        "acr": who.acr,
        "at_hash": half_hash(access_token, algorithm),
    }
    optional = {"sid": who.sid, "nonce": nonce, "amr": who.methods, "session_expiry": session_expiry}
    return claims | {name: value for name, value in optional.items() if value}


def access_token(
    *,
    issuer: str,
    sub: str,
    audience: str | list[str],
    client_id: str,
    scope: str,
    at: datetime,
    lifetime: int,
    dialect: str,
    jti: str,
    sid: str = "",
    auth_time: datetime | None = None,
    permissions: list[str] | None = None,
    jkt: str = "",
) -> dict[str, Any]:
    """RFC 9068 section 2.2, or Auth0's own profile. `sid` and `auth_time` are in both: they are ours.

    `auth_time` is None in a token that is nobody's, `permissions` is None where the dialect has none; with `jkt` it is
    bound to that key (RFC 9449 section 6.1).
    """
    issued = int(at.timestamp())
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": sub,
        "aud": audience,
        token_dialects.client_claim(dialect): client_id,
        "iat": issued,
        "exp": issued + lifetime,
        "scope": scope,
    }
    if token_dialects.is_rfc9068(dialect):
        claims["jti"] = jti
    elif auth_time is None:
        claims["gty"] = "client-credentials"
    if permissions is not None:
        claims["permissions"] = permissions
    if sid:
        claims["sid"] = sid
    if jkt:
        claims["cnf"] = {"jkt": jkt}
    if auth_time is not None:
        claims["auth_time"] = int(auth_time.timestamp())
    return claims


def half_hash(value: str, algorithm: str = "RS256") -> str:
    """at_hash: the left half of the hash that the signature uses (section 3.1.3.6); Ed25519 has SHA-512 inside."""
    whole = (hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256)(value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode("ascii")


def select(known: Mapping[str, Any], scope: Collection[str], asked: Collection[str] = ()) -> dict[str, Any]:
    """The claims that the scopes give, and those that the `claims` parameter named; unknown and empty ones are left out."""
    names = {name for value in scope for name in CLAIMS.get(value, ())} | set(asked)
    return {name: value for name, value in known.items() if name in names and value not in (None, "")}
