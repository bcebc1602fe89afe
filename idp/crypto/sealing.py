"""Secrets at rest: AES-256-GCM envelopes, `v1.<key id>.<nonce and ciphertext>`, bound to the place that they belong to.

The first of CURFEW_ENCRYPTION_KEYS seals, every one of them unseals, so that keys can be rotated by putting a new one in front.
What is sealed where, and by which key, `sealed` knows.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from idp.crypto import kms

VERSION = "v1"
_INFO = "curfew sealing v1"


class CannotUnseal(Exception):
    """The key is not among CURFEW_ENCRYPTION_KEYS or cannot be unwrapped, or the envelope was moved or altered."""


def seal(plaintext: str, context: str) -> str:
    """Encrypt. `context` names the place, e.g. `connection:FabrikamAD:client_secret`: an envelope opens only there.

    Raises CannotUnseal, if a wrapped key cannot be had.
    """
    key_id, cipher = next(iter(_ciphers().items()))
    nonce = os.urandom(12)
    body = nonce + cipher.encrypt(nonce, plaintext.encode(), context.encode())
    return f"{VERSION}.{key_id}.{base64.urlsafe_b64encode(body).decode()}"


def unseal(envelope: str, context: str) -> str:
    """Decrypt, or raise CannotUnseal."""
    try:
        version, key_id, encoded = envelope.split(".")
        if version != VERSION:
            raise CannotUnseal(f"unknown envelope version in {context}")
        body = base64.urlsafe_b64decode(encoded)
        return _ciphers()[key_id].decrypt(body[:12], body[12:], context.encode()).decode()
    except KeyError:
        raise CannotUnseal(f"{context}: sealed with a key that is not in CURFEW_ENCRYPTION_KEYS") from None
    except (ValueError, InvalidTag) as error:
        raise CannotUnseal(f"{context}: the sealed value was altered or moved") from error


def key_id_of(envelope: str) -> str:
    """Which key sealed it; "" if it is no envelope."""
    version, _, rest = envelope.partition(".")
    key_id, _, body = rest.partition(".")
    return key_id if version == VERSION and body else ""


def key_ids() -> list[str]:
    """Of the keys that there are, the one that seals first. Raises CannotUnseal."""
    return list(_ciphers())


def key_id_of_secret_key() -> str:
    """Of the key that is derived from SECRET_KEY, which seals where CURFEW_ENCRYPTION_KEYS is empty."""
    return next(iter(_derive((settings.SECRET_KEY,))))


def digest_keys(purpose: str) -> dict[str, bytes]:
    """Keys of digests by their ids, of every encryption key; the first makes new ones."""
    return {_id(key): key for key in (_derived(secret, f"curfew {purpose} v1") for secret in _secrets())}


def _ciphers() -> dict[str, AESGCM]:
    return _derive(_secrets())


def _secrets() -> tuple[str, ...]:
    try:
        return tuple(map(_in_clear, settings.ENCRYPTION_KEYS)) or (settings.SECRET_KEY,)
    except kms.KmsFailure as failure:
        raise CannotUnseal(str(failure)) from failure


def _in_clear(entry: str) -> str:
    return kms.unwrapped(entry) if entry.startswith(kms.PREFIX) else entry


@functools.cache
def _derive(secrets: tuple[str, ...]) -> dict[str, AESGCM]:
    keys = [_derived(secret, _INFO) for secret in secrets]
    return {_id(key): AESGCM(key) for key in keys}


def _derived(secret: str, info: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=info.encode()).derive(secret.encode())


def _id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:8]
