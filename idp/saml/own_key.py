"""Our own key pairs for SAML: one signs what we say, and each opens assertions that were encrypted for it.

`idp.saml.rotation` moves them: next -> active -> retiring -> gone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from django.conf import settings
from django.db import transaction

from idp.crypto import sealing
from idp.models import SamlKey, SamlKeyStatus
from idp.saml.names import RSA_SHA256
from idp.tenants import configuration

# Identity providers keep our certificate by hand, and trust it because an administrator put it there: no use in short ones.
VALID_FOR = timedelta(days=3650)
BITS = 3072
# How metadata list them. Who reads the first only has the one that signs.
ORDER: Mapping[str, int] = {SamlKeyStatus.ACTIVE: 0, SamlKeyStatus.NEXT: 1, SamlKeyStatus.RETIRING: 2}


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Both halves in PEM, as python3-saml takes them."""

    private_pem: str
    certificate_pem: str

    def sign(self, message: bytes) -> bytes:
        """A raw signature by RSA_SHA256 (SAML bindings section 3.4.4.1)."""
        return _loaded(self.private_pem).sign(message, padding.PKCS1v15(), hashes.SHA256())


SIGNATURE_METHOD = RSA_SHA256


def own_key(at: datetime, wanted: str = "") -> OwnKey:
    """The one that signs, made at first need. `wanted`: that of another status, as long as there is one. Raises CannotUnseal."""
    return opened(_of(wanted) or _of(SamlKeyStatus.ACTIVE) or _first(at))


def own_keys(at: datetime) -> list[OwnKey]:
    """All, the one that signs first: whoever has an older document of ours encrypts for an older one. Raises CannotUnseal."""
    return [opened(row) for row in _published(at)]


def own_certificates(at: datetime, wanted: str = "") -> list[str]:
    """In PEM, first the one that `own_key` gives. Who reads our metadata takes what any of them signed: a key is published
    before it signs, and after."""
    rows = _published(at)
    first = next((row for row in rows if row.status == wanted), rows[0])
    return [row.certificate for row in [first, *(row for row in rows if row is not first)]]


def opened(row: SamlKey) -> OwnKey:
    """Raises CannotUnseal."""
    return OwnKey(sealing.unseal(row.sealed_private_key, place(row.certificate)), row.certificate)


def fingerprint(certificate: str) -> str:
    """SHA-256 of a certificate in PEM: 64 hexadecimal digits."""
    return x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA256()).hex()


def _published(at: datetime) -> list[SamlKey]:
    rows = sorted(SamlKey.objects.order_by("-retired_at", "-pk"), key=lambda row: ORDER[row.status])
    return rows if rows and rows[0].status == SamlKeyStatus.ACTIVE else [_first(at), *rows]


def _of(status: str) -> SamlKey | None:
    return SamlKey.objects.filter(status=status).order_by("-retired_at", "-pk").first() if status else None


def _first(at: datetime) -> SamlKey:
    made = make(at)
    with transaction.atomic():
        configuration.bump()  # of two processes that start together the second finds the first one's key behind this lock
        return _of(SamlKeyStatus.ACTIVE) or keep(*made, at, SamlKeyStatus.ACTIVE)


def keep(private_pem: str, certificate: str, at: datetime, status: SamlKeyStatus) -> SamlKey:
    return SamlKey.objects.create(
        certificate=certificate,
        sealed_private_key=sealing.seal(private_pem, place(certificate)),
        status=status,
        created_at=at,
        activated_at=at if status == SamlKeyStatus.ACTIVE else None,
    )


def make(at: datetime) -> tuple[str, str]:
    """Private half and certificate of a new one. Takes a second: not in a transaction that others wait for."""
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


def place(certificate: str) -> str:
    """What the envelope of its private key is bound to: it opens for no other certificate."""
    return f"saml key:{fingerprint(certificate)}"


@functools.lru_cache(maxsize=4)
def _loaded(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("our SAML key is not an RSA key")
    return key
