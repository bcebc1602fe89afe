"""Secrets at rest: AES-256-GCM envelopes, `v1.<key id>.<nonce and ciphertext>`, bound to the place that they belong to.

The first of ENCRYPTION_KEYS seals, every one of them unseals, so that keys can be rotated by putting a new one in front.
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


class CannotUnseal(Exception):
    """The key is not among ENCRYPTION_KEYS, or the envelope was moved or altered."""


def seal(plaintext: str, context: str) -> str:
    """Encrypt. `context` names the place, e.g. `connection:FabrikamAD:client_secret`: an envelope opens only there."""
    key_id, cipher = next(iter(_ciphers().items()))
    nonce = os.urandom(12)
    body = nonce + cipher.encrypt(nonce, plaintext.encode(), context.encode())
    return f"v1.{key_id}.{base64.urlsafe_b64encode(body).decode()}"


def unseal(envelope: str, context: str) -> str:
    """Decrypt, or raise CannotUnseal."""
    try:
        version, key_id, encoded = envelope.split(".")
        if version != "v1":
            raise CannotUnseal(f"unknown envelope version in {context}")
        body = base64.urlsafe_b64decode(encoded)
        return _ciphers()[key_id].decrypt(body[:12], body[12:], context.encode()).decode()
    except KeyError:
        raise CannotUnseal(f"{context}: sealed with a key that is not in CURFEW_ENCRYPTION_KEYS") from None
    except (ValueError, InvalidTag) as error:
        raise CannotUnseal(f"{context}: the sealed value was altered or moved") from error


def digest_keys(purpose: str) -> dict[str, bytes]:
    """Keys of digests by their ids, of every encryption key; the first makes new ones."""
    secrets = tuple(settings.ENCRYPTION_KEYS) or (settings.SECRET_KEY,)
    return {_id(key): key for key in (_derived(secret, f"curfew {purpose} v1") for secret in secrets)}


def _ciphers() -> dict[str, AESGCM]:
    return _derive(tuple(settings.ENCRYPTION_KEYS) or (settings.SECRET_KEY,))


@functools.cache
def _derive(secrets: tuple[str, ...]) -> dict[str, AESGCM]:
    keys = [_derived(secret, "curfew sealing v1") for secret in secrets]
    return {_id(key): AESGCM(key) for key in keys}


def _derived(secret: str, info: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=info.encode()).derive(secret.encode())


def _id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:8]
