"""Random secrets that travel, and the digests that stay: cookies, codes, tokens, states."""

from __future__ import annotations

import hashlib
import secrets


def new_secret() -> str:
    """256 random bits, URL-safe, 43 characters."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What the database keeps of a secret that we made: its SHA-256 in hex (enough for 112 bits and more)."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
