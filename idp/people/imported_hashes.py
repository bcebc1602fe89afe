"""Hashes of passwords that people bring along from elsewhere, in the form of Auth0's `password_hash` and `custom_password_hash`.

They are kept as they are until the person signs in, when `User.check_password` replaces them by ours. Until then nobody learns
from the time that an answer takes whose are still the old ones. Hashes that are quick to guess (MD5, SHA, HMAC, LDAP's) are
sealed: who steals the database alone cannot try passwords against them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import bcrypt
from django.contrib.auth.hashers import BasePasswordHasher
from django.utils.crypto import constant_time_compare

from idp.crypto import sealing
from idp.people.hashers import OwaspArgon2Hasher

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

CONTEXT = "imported password hash"
QUICK = frozenset({"md5", "sha1", "sha256", "sha512", "hmac", "ldap"})
_ENCODINGS = {"utf8": "utf-8", "utf16le": "utf-16-le", "ucs2": "utf-16-le"} | dict.fromkeys(
    ("ascii", "latin1", "binary"), "latin-1"
)
PASSWORD_ENCODINGS = tuple(_ENCODINGS)
LONGEST_OF_BCRYPT = 72  # bytes; every bcrypt has left out the rest
SCRYPT_MEMORY = 256 * 1024 * 1024


def kept(spec: dict[str, Any]) -> str:
    """What stands in `User.password` for a hash that `idp.people.brought_along` has read."""
    text = json.dumps(spec, separators=(",", ":"))
    return f"imported${sealing.seal(text, CONTEXT) if spec['a'] in QUICK else text}"


class ImportedHasher(BasePasswordHasher):
    """Verifies, and never makes one: it is not the first of PASSWORD_HASHERS."""

    algorithm = "imported"
    library = None

    def encode(self, password: str, salt: str) -> str:
        raise TypeError("hashes of others are not made here")

    def verify(self, password: str, encoded: str) -> bool:
        spec = self.spec(encoded)
        try:
            matches = spec is not None and _matches(spec, password)
        except ValueError:  # letters that the encoding has not, NUL in bcrypt
            matches = False
        if not matches:  # one that matches is hashed anew, which costs the same
            self.harden_runtime(password, encoded)
        return matches

    def decode(self, encoded: str) -> dict[str, Any]:
        return {"algorithm": self.algorithm, **(self.spec(encoded) or {})}

    def safe_summary(self, encoded: str) -> dict[str | _StrPromise, Any]:
        return {"algorithm": f"{self.algorithm} ({(self.spec(encoded) or {}).get('a', 'cannot be opened')})"}

    def must_update(self, encoded: str) -> bool:
        return True

    def harden_runtime(self, password: str, encoded: str) -> None:
        """As costly as a password of ours."""
        OwaspArgon2Hasher().encode(password, "not anybody's salt")

    def spec(self, encoded: str) -> dict[str, Any] | None:
        """What is kept of it; None if nobody can open that any more."""
        text = encoded.removeprefix(f"{self.algorithm}$")
        try:
            found = json.loads(text if text.startswith("{") else sealing.unseal(text, CONTEXT))
        except (ValueError, sealing.CannotUnseal):
            return None
        return found if isinstance(found, dict) else None


def _matches(spec: dict[str, Any], password: str) -> bool:
    raw = password.encode(_ENCODINGS[spec.get("e", "utf8")])
    if spec["a"] == "bcrypt":
        return bcrypt.checkpw(raw[:LONGEST_OF_BCRYPT], spec["h"].encode())
    return constant_time_compare(_computed(spec, raw), _bytes(spec["h"]))


def _computed(spec: dict[str, Any], raw: bytes) -> bytes:
    salt, length = _bytes(spec.get("s", "")), len(_bytes(spec["h"]))
    match spec["a"]:
        case "pbkdf2":
            return hashlib.pbkdf2_hmac(spec["d"], raw, salt, spec["i"], length)
        case "scrypt":
            cost = {"n": spec["n"], "r": spec["r"], "p": spec["p"]}
            return hashlib.scrypt(raw, salt=salt, **cost, maxmem=SCRYPT_MEMORY, dklen=length)
    salted = raw + salt if spec.get("after") else salt + raw
    if spec["a"] == "hmac":
        return hmac.digest(_bytes(spec["k"]), salted, spec["d"])
    return hashlib.new(spec["d"], salted, usedforsecurity=False).digest()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
