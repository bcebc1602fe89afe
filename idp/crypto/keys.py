"""The one source of the keys that sign our JWTs (SAML has its own). How they move is `rotation`'s, when they do `lifetimes`'."""

from __future__ import annotations

import functools
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from django.db import transaction
from django.utils import timezone
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from idp.crypto import lifetimes, sealing
from idp.models import KeyStatus, SigningKey
from idp.protocol.clients import SIGNING_ALGORITHMS
from idp.tenants import configuration

ALGORITHMS = SIGNING_ALGORITHMS

_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_PKCS1, _SHA256, _ECDSA = padding.PKCS1v15(), hashes.SHA256(), ec.ECDSA(hashes.SHA256())
_PSS = padding.PSS(padding.MGF1(_SHA256), _SHA256.digest_size)  # RFC 7518 section 3.5
KINDS: Mapping[str, type[Key]] = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A key parsed once per process and configuration (a private RSA key costs 35 ms to load)."""

    kid: str
    algorithm: str
    key: Key


_ACTIVE = configuration.Memo[LoadedKey]("key that signs by an algorithm")
_PUBLISHED = configuration.Memo[dict[str, LoadedKey]]("published keys by id")


def sign(claims: Mapping[str, Any], *, algorithm: str = "RS256", typ: str = "JWT") -> str:
    """A compact JWS of the claims by the active key of the algorithm."""
    return sign_with(active(algorithm, configuration.current()), claims, typ=typ)


def sign_with(loaded: LoadedKey, claims: Mapping[str, Any], *, typ: str = "JWT") -> str:
    """A compact JWS (RFC 7515 section 3.1). joserfc's own takes twice as long with ES256, and a worker signs thousands a second."""
    message = b"%b.%b" % (_header(loaded.kid, loaded.algorithm, typ), _base64(_json(claims).encode()))
    return (b"%b.%b" % (message, _base64(_signature(loaded, message)))).decode()


def _signature(loaded: LoadedKey, message: bytes) -> bytes:
    """RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1: for ES256 the two numbers, 32 octets each."""
    key: Any = loaded.key.private_key  # of every kind here
    if loaded.algorithm in ("RS256", "PS256"):
        return bytes(key.sign(message, _PKCS1 if loaded.algorithm == "RS256" else _PSS, _SHA256))
    if loaded.algorithm == "EdDSA":
        return bytes(key.sign(message))
    r, s = decode_dss_signature(key.sign(message, _ECDSA))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@functools.lru_cache(maxsize=64)
def _header(kid: str, algorithm: str, typ: str) -> bytes:
    return _base64(_json({"alg": algorithm, "typ": typ, "kid": kid}).encode())


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def active(algorithm: str, snapshot: configuration.Snapshot) -> LoadedKey:
    """The key that signs, made at first need."""
    return snapshot.derived(_ACTIVE, lambda: _load_active(algorithm), algorithm)


def _load_active(algorithm: str) -> LoadedKey:
    row = SigningKey.objects.filter(algorithm=algorithm, status=KeyStatus.ACTIVE).first()
    return _load(row or _first_key(algorithm))


def published() -> dict[str, list[dict[str, Any]]]:
    """The JWKS document: every key that is not gone."""
    rows = SigningKey.objects.exclude(status=KeyStatus.GONE).order_by("created_at")
    return {"keys": [row.public_jwk for row in rows]}


def published_key(kid: str, snapshot: configuration.Snapshot) -> LoadedKey | None:
    """The public key of this id, as long as it is not gone."""
    return snapshot.derived(_PUBLISHED, _load_published).get(kid)


def _load_published() -> dict[str, LoadedKey]:
    rows = SigningKey.objects.exclude(status=KeyStatus.GONE)
    return {row.kid: LoadedKey(row.kid, row.algorithm, _import(row.algorithm, row.public_jwk)) for row in rows}


def ensure() -> None:
    """Make the first keys, so that no request has to wait for it."""
    for algorithm in ALGORITHMS:
        if not SigningKey.objects.filter(algorithm=algorithm, status=KeyStatus.ACTIVE).exists():
            _first_key(algorithm)


def _first_key(algorithm: str) -> SigningKey:
    draft = KeyDraft.make(algorithm)
    with transaction.atomic():
        # Of two processes that start together the second finds the first one's key behind this lock.
        configuration.bump()
        existing = SigningKey.objects.filter(algorithm=algorithm, status=KeyStatus.ACTIVE).first()
        return existing or draft.begin(KeyStatus.ACTIVE, timezone.now())


@dataclass(frozen=True, slots=True)
class KeyDraft:
    """A new pair, in no row yet."""

    algorithm: str
    pem: str

    @classmethod
    def make(cls, algorithm: str) -> KeyDraft:
        """Takes a second with RSA, on a busy machine: not in a transaction that others wait for."""
        if algorithm not in ALGORITHMS:
            raise ValueError(f"no signing algorithm of ours: {algorithm!r}")
        encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return cls(algorithm, _new_private(algorithm).private_bytes(*encoding).decode())

    def begin(self, status: KeyStatus, now: datetime) -> SigningKey:
        """Its row, in this state."""
        key = _import(self.algorithm, self.pem)
        kid = key.thumbprint()
        public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": self.algorithm}
        return SigningKey.objects.create(
            kid=kid,
            algorithm=self.algorithm,
            status=status,
            public_jwk=json.loads(json.dumps(public)),
            sealed_private_key=sealing.seal(self.pem, place(kid)),
            created_at=now,
            activated_at=now if status == KeyStatus.ACTIVE else None,
            longest_token=lifetimes.longest(),
        )


def place(kid: str) -> str:
    """What the envelope of a private key is bound to."""
    return f"signing key:{kid}"


def _new_private(algorithm: str) -> Private:
    if KINDS[algorithm] is RSAKey:
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def _load(row: SigningKey) -> LoadedKey:
    pem = sealing.unseal(row.sealed_private_key, place(row.kid))
    return LoadedKey(row.kid, row.algorithm, _import(row.algorithm, pem))


def _import(algorithm: str, key: str | dict[str, Any]) -> Key:
    """A private key as PEM, or a public one as JWK."""
    return KINDS[algorithm].import_key(key)
