"""Logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.4): the claims. Signing is the caller's.

No `nonce`, ever: it is what keeps an ID token from passing as a logout token ("A nonce Claim MUST NOT be present").
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME = 120  # seconds: "preferably at most two minutes in the future" (section 4)


def claims(*, issuer: str, client_id: str, sub: str, sid: str, include_sub: bool, at: datetime) -> dict[str, Any]:
    """A fresh token's claims: new `iat` and `jti` for each attempt, since receivers refuse old and repeated ones.

    Without `sid` it means every session of the person at this application, and needs `sub` ("A Logout Token MUST
    contain either a sub or a sid Claim, and MAY contain both"). `iat` is never ahead of `at`, not even by rounding.
    """
    issued = int(at.timestamp())
    token: dict[str, Any] = {
        "iss": issuer,
        "aud": client_id,
        "iat": issued,
        "exp": issued + LIFETIME,
        "jti": secrets.token_hex(16),
        "events": {EVENT: {}},
        "trace_id": secrets.token_hex(8),
    }
    if sid:
        token["sid"] = sid
    if include_sub or not sid:
        token["sub"] = sub
    return token
