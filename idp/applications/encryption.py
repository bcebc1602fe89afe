"""ID tokens for one application's eyes (OpenID Connect Core section 16.14): signed, then encrypted by a public key of its own.

What the browser, its history and proxies on the way see is a JWE; hints come back as the signed token that was inside.
"""

from __future__ import annotations

from collections.abc import Mapping

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from idp.applications import client_keys
from idp.models import Application
from idp.protocol.clients import CONTENT_ENCRYPTION, ENCRYPTION_ALGORITHMS
from idp.protocol.errors import InvalidClient

KINDS: Mapping[str, tuple[type[Key], ...]] = {"RSA-OAEP-256": (RSAKey,), "ECDH-ES": (ECKey, OKPKey)}
_REGISTRY = jwe.JWERegistry(algorithms=[*ENCRYPTION_ALGORITHMS, *CONTENT_ENCRYPTION])


def encrypted(token: str, application: Application) -> str:
    """A compact JWE around the token. Raises InvalidClient where the application has no key for it."""
    algorithm = application.id_token_encrypted_response_alg
    key = _key(application, algorithm)
    header = {"alg": algorithm, "enc": CONTENT_ENCRYPTION[0], "cty": "JWT"} | ({"kid": key.kid} if key.kid else {})
    try:
        return jwe.encrypt_compact(header, token, key, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        raise _refused(f"its key does not encrypt: {error}") from None


def _key(application: Application, algorithm: str) -> Key:
    """The first that is meant for it: use and alg of a key decide, where it says them (RFC 7517 section 4)."""
    try:
        keys = client_keys.of(application, use="enc").keys
    except InvalidClient as error:
        raise _refused(error.detail) from None
    for key in keys:
        said = key.as_dict(private=False)
        fits = isinstance(key, KINDS[algorithm]) and said.get("crv") != "Ed25519"
        if fits and said.get("alg", algorithm) == algorithm:
            return key
    raise _refused(f"it has no public key for {algorithm}")


def _refused(detail: str) -> InvalidClient:
    description = "ID tokens of this client are encrypted, and it has no public key for that."
    return InvalidClient(description, detail=detail)
