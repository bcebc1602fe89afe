"""A client's key and the proofs that it makes with it (RFC 9449 section 4.2)."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_key(algorithm: str = "ES256") -> Key:
    if algorithm in ("PS256", "RS256"):
        return RSAKey.generate_key(2048)
    return ECKey.generate_key("P-256") if algorithm == "ES256" else OKPKey.generate_key("Ed25519")


def signed(header: dict[str, Any], claims: dict[str, Any], key: Key, algorithm: str) -> str:
    """A JWS by the key's own algorithm, whatever its header says."""
    message = ".".join(encode(json.dumps(part).encode()) for part in (header, claims)).encode()
    pem = key.as_pem(private=True)
    private: Any = serialization.load_pem_private_key(pem, None)
    if isinstance(private, rsa.RSAPrivateKey):
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if algorithm == "PS256" else padding.PKCS1v15()
        signature = private.sign(message, scheme, hashes.SHA256())
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    else:
        assert isinstance(private, ed25519.Ed25519PrivateKey)
        signature = private.sign(message)
    return f"{message.decode()}.{encode(signature)}"


class Prover:
    """Makes a new proof for each request; `nonce` is what the server said last."""

    def __init__(self, algorithm: str = "ES256", key: Key | None = None) -> None:
        self.algorithm, self.key, self.nonce = algorithm, key or new_key(algorithm), ""

    @property
    def jkt(self) -> str:
        return self.key.thumbprint()

    def proof(
        self, method: str, url: str, *, access_token: str = "", header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A change to None leaves a member out."""
        said: dict[str, Any] = {"jti": uuid.uuid4().hex, "htm": method, "htu": url, "iat": int(time.time())}
        if self.nonce:
            said["nonce"] = self.nonce
        if access_token:
            said["ath"] = encode(hashlib.sha256(access_token.encode()).digest())
        head = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": dict(self.key.as_dict(private=False))}
        return signed(_given(head | (header or {})), _given(said | claims), self.key, self.algorithm)


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
