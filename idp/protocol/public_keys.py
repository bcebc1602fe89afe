"""A JWK set of somebody else's public keys (RFC 7517 section 5), as far as it can be judged without cryptography."""

from __future__ import annotations

from typing import Any

KINDS = ("RSA", "EC", "OKP")  # those of the algorithms that we verify
MOST_KEYS = 20
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 sections 6.2.2, 6.3.2, 6.4.1


def problem(jwks: Any) -> str | None:
    """What is wrong with it. A private key must never have been sent, a symmetric one proves nothing."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        return f'it must be a JWK set with 1 to {MOST_KEYS} keys, like {{"keys": [{{"kty": "EC", ...}}]}}'
    if any(isinstance(key, dict) and PRIVATE_MEMBERS & key.keys() for key in keys):
        return "it holds a private or secret key: give the public half only, and make a new key if others have seen this one"
    if not all(isinstance(key, dict) and key.get("kty") in KINDS for key in keys):
        return f"every key must be a public one with kty {' or '.join(KINDS)}"
    return None
