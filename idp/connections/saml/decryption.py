"""The key that opens assertions which were encrypted for us: the administrator's (`decryptionKey`), else our own."""

from __future__ import annotations

import functools
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from idp.connections.options import secret
from idp.models import Connection
from idp.saml import x509
from idp.saml.own_key import own_key, own_keys
from idp.saml.x509 import BadCertificate

OPTION = "decryptionKey"


class BadKey(ValueError):
    """One clause about what is wrong with it."""


def private_keys(connection: Connection, at: datetime) -> list[str]:
    """PEM, PKCS #8, the likeliest first. Raises BadKey, CannotUnseal."""
    chosen = secret(connection, OPTION)
    return [read(chosen)] if chosen else [key.private_pem for key in own_keys(at)]


def certificate(connection: Connection, at: datetime) -> str:
    """PEM of the certificate to encrypt for; "" if the administrator gave a key without its certificate beside it."""
    chosen = secret(connection, OPTION)
    if not chosen:
        return own_key(at).certificate_pem
    try:
        return x509.read(chosen)[0].pem
    except BadCertificate:
        return ""


@functools.lru_cache(maxsize=64)
def read(pem: str) -> str:
    """The private key of a PEM text, whatever stands beside it. Raises BadKey."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey("is not a private key in PEM without a password") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < x509.LEAST_RSA_BITS:
        raise BadKey(f"is not an RSA key of {x509.LEAST_RSA_BITS} bits or more")
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
