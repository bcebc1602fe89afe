"""The checks of a logout token from an OpenID provider upstream: OpenID Connect Back-Channel Logout 1.0, section 2.6."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import discovery, id_token, issuers, keys, person
from idp.connections.oidc import options as oidc_options
from idp.connections.oidc.options import OidcOptions
from idp.connections.oidc.signed import LONGEST, SETTING, SKEW, verified
from idp.connections.oidc.wire import Deadline
from idp.models import Connection
from idp.protocol.jwt_profile import Mismatch, Profile, check_claims, expiry, is_text

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME = 600  # seconds after `iat` in which we take one: older providers say no `exp`, and its use must be remembered
LOGOUT_TOKEN = Profile(
    types=frozenset({"logout+jwt", "jwt"}),  # requiring the first "will break most existing deployments" (section 2.4)
    algorithms=(),  # the connection's
    allowed_by=SETTING,
    texts=("jti",),
    forbidden=("nonce",),
    times=("iat",),
    leeway=SKEW,
    oldest=LIFETIME,
    event=(EVENT, "a logout"),
    longest=LONGEST,
)


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
    profile = replace(LOGOUT_TOKEN, algorithms=options.algorithms)
    claims = verified(what, token, profile=profile, find=find).claims
    try:
        check_claims(profile, claims, id_token.parties(upstream.issuer, options.client_id), at)
    except Mismatch as mismatch:
        raise UpstreamFault(f"{what} {mismatch}.") from mismatch
    named = [name for name in ("sub", "sid") if claims.get(name) is not None]
    if not named or not all(is_text(claims[name]) for name in named):
        raise UpstreamFault(f"{what} names neither an account (sub) nor a session (sid).")
    sub, sid = _account(claims, options), claims.get("sid") or ""
    if not sub and not sid:
        raise UpstreamFault(
            f"{what} names the account by sub only, and this connection knows accounts by other claims."
        )
    return Notice(
        sub=sub,
        sid=sid,
        issuer=claims["iss"],
        jti=claims["jti"],
        expires_at=expiry(profile, claims),
    )


def is_issuer(connection: Connection, issuer: str) -> bool:
    """Whether the connection's upstream calls itself so. Raises UpstreamFault when that cannot be known."""
    return issuers.may_be(discovery.provider(oidc_options.of(connection), Deadline()).issuer, issuer)


def _account(claims: dict[str, Any], options: OidcOptions) -> str:
    """What the identity is kept by, "" where the token does not tell (Entra's `oid`, for one, is no claim of it)."""
    known = all(isinstance(claims.get(name), str) for name in options.subject_claims)
    return person.subject(claims, options) if known else ""
