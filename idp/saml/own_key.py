"""Our own key pair for SAML: it signs requests and opens assertions that were encrypted for us."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from django.conf import settings
from django.db import transaction

from idp.crypto import sealing
from idp.models import SamlKey
from idp.saml.names import RSA_SHA256
from idp.tenants import configuration

# Identity providers keep our certificate by hand, and trust it because an administrator put it there: no use in short ones.
VALID_FOR = timedelta(days=3650)
BITS = 3072


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Both halves in PEM, as python3-saml takes them."""

    private_pem: str
    certificate_pem: str

    def sign(self, message: bytes) -> bytes:
        """A raw signature by RSA_SHA256 (SAML bindings section 3.4.4.1)."""
        return _loaded(self.private_pem).sign(message, padding.PKCS1v15(), hashes.SHA256())


SIGNATURE_METHOD = RSA_SHA256


def own_key(at: datetime) -> OwnKey:
    """Ours, made at first need. Raises CannotUnseal."""
    row = _newest() or _first(at)
    return OwnKey(sealing.unseal(row.sealed_private_key, _context(row.certificate)), row.certificate)


def own_certificates(at: datetime) -> list[str]:
    """In PEM, the newest first. Who reads our metadata takes what any of them signed: a new key is published before it is all
    that there is."""
    own_key(at)
    return list(SamlKey.objects.order_by("-created_at", "-pk").values_list("certificate", flat=True))


def _newest() -> SamlKey | None:
    return SamlKey.objects.order_by("-created_at", "-pk").first()


def _first(at: datetime) -> SamlKey:
    private_pem, certificate = _make(at)
    with transaction.atomic():
        configuration.bump()  # of two processes that start together the second finds the first one's key behind this lock
        return _newest() or SamlKey.objects.create(
            certificate=certificate, sealed_private_key=sealing.seal(private_pem, _context(certificate)), created_at=at
        )


def _make(at: datetime) -> tuple[str, str]:
    key = rsa.generate_private_key(65537, BITS)
    host = settings.ISSUER_ORIGIN.partition("://")[2][:64]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + VALID_FOR)
        .sign(key, hashes.SHA256())
    )
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private_pem.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _context(certificate: str) -> str:
    """An envelope of one certificate's key opens for no other's."""
    return f"saml key:{x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA256()).hex()}"


@functools.lru_cache(maxsize=4)
def _loaded(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("our SAML key is not an RSA key")
    return key
