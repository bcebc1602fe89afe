"""Whether a DPoP proof is signed by the key that it holds, and that key's thumbprint."""

from __future__ import annotations

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, RSAKey
from joserfc.jws import JWSRegistry

from idp.applications.keys import SMALLEST_RSA_KEY
from idp.protocol.clients import STRONG_ALGORITHMS
from idp.protocol.jwt_profile import Mismatch, decoded
from sessions_app.protocol.dpop import Said

_VERIFIERS = JWSRegistry(algorithms=list(STRONG_ALGORITHMS))


def verified(said: Said, encoded: str) -> str:
    """The thumbprint (RFC 7638). Raises Mismatch."""
    try:
        key = JWKRegistry.import_key(said.jwk)
        thumbprint = key.thumbprint()
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Mismatch(f"has a key that cannot be read: {error}") from None
    if isinstance(key, RSAKey) and key.raw_value.key_size < SMALLEST_RSA_KEY:
        raise Mismatch(f"has an RSA key of less than {SMALLEST_RSA_KEY} bits")
    if not _is_signed(said, encoded, key):
        raise Mismatch("is not signed by the key that it holds")
    return thumbprint


def _is_signed(said: Said, encoded: str, key: Key) -> bool:
    message, _, signature = encoded.rpartition(".")
    try:
        return _VERIFIERS.get_alg(said.algorithm).verify(message.encode(), decoded(signature), key)
    except JoseError:  # by its own words (key_ops, use) the key is not for signatures
        return False
