"""Two hashers: argon2id for passwords that people choose, one SHA-256 for secrets that we made of 256 random bits."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from django.contrib.auth.hashers import Argon2PasswordHasher, BasePasswordHasher
from django.utils.crypto import constant_time_compare

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class OwaspArgon2Hasher(Argon2PasswordHasher):
    """argon2id at OWASP's minimum: 18 ms on one core, where Django's default takes 180 ms on all of them."""

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1


class ClientSecretHasher(BasePasswordHasher):
    """SHA-256 of a client secret. Never the first of PASSWORD_HASHERS: a person's password must not come here."""

    algorithm = "client_sha256"
    library = None

    def salt(self) -> str:
        return "none"  # the secret itself has 256 random bits

    def encode(self, password: str, salt: str) -> str:
        return f"{self.algorithm}${hashlib.sha256(password.encode()).hexdigest()}"

    def verify(self, password: str, encoded: str) -> bool:
        return constant_time_compare(encoded, self.encode(password, ""))

    def decode(self, encoded: str) -> dict[str, str]:
        algorithm, digest = encoded.split("$", 1)
        return {"algorithm": algorithm, "hash": digest, "salt": ""}

    def safe_summary(self, encoded: str) -> dict[str | _StrPromise, Any]:
        return {"algorithm": self.algorithm}

    def must_update(self, encoded: str) -> bool:
        return False

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Nothing to harden: there is no work factor."""
