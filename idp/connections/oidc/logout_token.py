"""The checks of a logout token from an OpenID provider upstream: OpenID Connect Back-Channel Logout 1.0, section 2.6."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from idp.connections.oidc import discovery, id_token, issuers, keys, person
from idp.connections.oidc import options as oidc_options
from idp.connections.oidc.options import OidcOptions
from idp.connections.oidc.signed import verified
from idp.connections.oidc.wire import Deadline
from idp.connections.upstream import UpstreamFault
from idp.models import Connection
from idp.protocol.params import printable

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYPES = frozenset({"logout+jwt", "jwt"})  # requiring the first "will break most existing deployments" (section 2.4)
LIFETIME = timedelta(minutes=10)  # for how long after `iat` we take one, where it says no `exp` (older providers)
LONGEST = 255


@dataclass(frozen=True, slots=True)
class Notice:
    """Whose session ended upstream: `sid` names one session, `sub` alone every session of the account."""

    sub: str
    sid: str
    issuer: str
    jti: str
    expires_at: datetime


def verify(connection: Connection, token: str, at: datetime) -> Notice:
    """What the token says, every check passed but replay. Raises UpstreamFault (with a status if the upstream is away)."""
    options, deadline = oidc_options.of(connection), Deadline()
    upstream = discovery.provider(options, deadline)

    def find(kid: str | None, alg: str, again: bool) -> list[Any]:
        return keys.of_provider(upstream, kid, alg, deadline, suspect=again)

    what = f"The logout token of {upstream.issuer}"
    claims = verified(what, token, algorithms=options.algorithms, types=TYPES, find=find).claims
    if wrong := (
        _wrong_parties(claims, upstream.issuer, options.client_id) or _wrong_times(claims, at) or _wrong_content(claims)
    ):
        raise UpstreamFault(f"{what} {wrong}.")
    sub, sid = _account(claims, options), claims.get("sid", "")
    if not sub and not sid:
        raise UpstreamFault(
            f"{what} names the account by sub only, and this connection knows accounts by other claims."
        )
    return Notice(
        sub=sub,
        sid=sid,
        issuer=claims["iss"],
        jti=claims["jti"],
        expires_at=_expiry(claims) + timedelta(seconds=id_token.SKEW),
    )


def is_issuer(connection: Connection, issuer: str) -> bool:
    """Whether the connection's upstream calls itself so. Raises UpstreamFault when that cannot be known."""
    return issuers.matches(discovery.provider(oidc_options.of(connection), Deadline()).issuer, issuer)


def _account(claims: dict[str, Any], options: OidcOptions) -> str:
    """What the identity is kept by, "" where the token does not tell (Entra's `oid`, for one, is no claim of it)."""
    known = all(isinstance(claims.get(name), str) for name in options.subject_claims)
    return person.subject(claims, options) if known else ""


def _wrong_parties(claims: dict[str, Any], issuer: str, client_id: str) -> str:
    if not issuers.matches(issuer, claims.get("iss"), claims.get("tid")):
        return f"is from another issuer: {printable(str(claims.get('iss')))}"
    audience = claims.get("aud")
    if client_id not in (audience if isinstance(audience, list) else [audience]):
        return f"is for somebody else: its aud is not our client_id {printable(client_id)}"
    return ""


def _wrong_times(claims: dict[str, Any], at: datetime) -> str:
    now, issued, expires = at.timestamp(), claims.get("iat"), claims.get("exp")
    if not id_token.is_time(issued) or not (expires is None or id_token.is_time(expires)):
        return "says no times in seconds: iat or exp is missing or not a number"
    if issued > now + id_token.SKEW:
        return "is from the future: is our clock right, and the clock there?"
    if now > _expiry(claims).timestamp() + id_token.SKEW:
        return "expired: is our clock right, and the clock there?"
    return ""


def _wrong_content(claims: dict[str, Any]) -> str:
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        return "is not about a logout: its events do not say so"
    if "nonce" in claims:
        return "is an ID token: it has a nonce"
    if not _is_text(claims.get("jti")):
        return "has no jti"
    named = [name for name in ("sub", "sid") if name in claims]
    if not named or not all(_is_text(claims[name]) for name in named):
        return "names neither an account (sub) nor a session (sid)"
    return ""


def _expiry(claims: dict[str, Any]) -> datetime:
    """Never more than LIFETIME after `iat`: replay marks must be kept until then."""
    latest = id_token.moment_of(claims["iat"]) + LIFETIME
    return latest if claims.get("exp") is None else min(latest, id_token.moment_of(claims["exp"]))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable()
