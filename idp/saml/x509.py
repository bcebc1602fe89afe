"""Certificates of others: what an administrator pastes, or their metadata holds."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

LEAST_RSA_BITS = 2048
_PEM = re.compile(
    r"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.S
)


class BadCertificate(ValueError):
    """One clause about what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that may verify signatures: RSA of 2048 bits or more, or an elliptic curve."""

    pem: str
    subject: str
    thumbprint: str  # SHA-1, upper-case hexadecimal: how ADFS and Auth0 name certificates
    not_before: datetime
    not_after: datetime
    key: PublicKey

    @property
    def is_rsa(self) -> bool:
        return isinstance(self.key, rsa.RSAPublicKey)

    def is_valid(self, at: datetime) -> bool:
        return self.not_before <= at <= self.not_after


def read(text: str) -> tuple[Certificate, ...]:
    """Every certificate of an option: PEM, one after the other; or DER or PEM once more in Base64, as Auth0 keeps it.

    Raises BadCertificate.
    """
    return _read(text.strip())


@functools.lru_cache(maxsize=256)
def _read(text: str) -> tuple[Certificate, ...]:
    if bodies := _PEM.findall(text):
        return tuple(_certificate(_base64(body)) for body in bodies)
    decoded = _base64(text)
    if b"-----BEGIN" in decoded:
        return tuple(_certificate(_base64(body)) for body in _PEM.findall(decoded.decode("ascii", "replace")))
    return (_certificate(decoded),)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadCertificate("is neither PEM nor Base64") from None


def _certificate(der: bytes) -> Certificate:
    try:
        loaded = x509.load_der_x509_certificate(der)
        key, subject = loaded.public_key(), loaded.subject.rfc4514_string()
        not_before, not_after = loaded.not_valid_before_utc, loaded.not_valid_after_utc
    except UnsupportedAlgorithm:
        raise BadCertificate("has a key of a kind or curve that is not known here") from None
    except ValueError:
        raise BadCertificate("is not an X.509 certificate") from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < LEAST_RSA_BITS:
            raise BadCertificate(f"has an RSA key of {key.key_size} bits; {LEAST_RSA_BITS} is the least")
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadCertificate("has a key that is neither RSA nor an elliptic curve")
    return Certificate(
        pem=loaded.public_bytes(serialization.Encoding.PEM).decode(),
        subject=subject,
        thumbprint=loaded.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303  a name, not a proof
        not_before=not_before,
        not_after=not_after,
        key=key,
    )
