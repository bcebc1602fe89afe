"""Proof Key for Code Exchange (RFC 7636), S256 only (RFC 9700 section 2.1.1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from idp.protocol.errors import InvalidRequest

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z", re.ASCII)


def check_challenge(challenge: str, method: str, *, required: bool) -> None:
    """Refuse an authorization request whose challenge is missing, plain, or not a SHA-256."""
    if not challenge and not method:
        if required:
            raise InvalidRequest("PKCE is required: send code_challenge with code_challenge_method=S256.")
        return
    if method != "S256":
        raise InvalidRequest("code_challenge_method must be S256.")
    if not _CHALLENGE.match(challenge):
        raise InvalidRequest("code_challenge must be a base64url-encoded SHA-256 of 43 characters.")


def verifies(verifier: str, challenge: str) -> bool:
    """Section 4.6. A verifier without a challenge is refused too: somebody removed the challenge (RFC 9700 section 4.8.2)."""
    if not challenge:
        return not verifier
    if not _VERIFIER.match(verifier):
        return False
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    return hmac.compare_digest(made, challenge)
