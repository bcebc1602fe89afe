"""Public keys in the `jwks` of an application as Auth0's credentials: what they are called, and how they are read."""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from idp.models import Application
from idp.protocol.clients import SIGNING_ALGORITHMS
from idp.tenants.reader import Reader

PUBLIC_KEY = "public_key"
LONGEST_PEM = 4096  # characters, as at Auth0
_KINDS: tuple[Any, ...] = (RSAKey, ECKey, OKPKey)


def shape(key: dict[str, Any]) -> dict[str, Any]:
    thumbprint = _imported(key).thumbprint()
    return {
        "id": f"cred_{thumbprint[:24]}",
        "name": key.get("name", ""),
        "kid": key.get("kid") or thumbprint,
        "alg": key.get("alg", ""),
        "credential_type": PUBLIC_KEY,
        "expires_at": None,
    }


def keys(row: Application) -> list[dict[str, Any]]:
    listed = (row.jwks or {}).get("keys", [])
    return [key for key in listed if _is_readable(key)]


def _is_readable(key: dict[str, Any]) -> bool:
    try:
        _imported(key)
    except (JoseError, ValueError, KeyError, TypeError):
        return False
    return True


def _imported(key: dict[str, Any]) -> Any:
    return next(kind for kind in _KINDS if kind.key_type == key.get("kty")).import_key(key)


def read(reader: Reader) -> dict[str, Any] | None:
    """None where the reader was told what is wrong."""
    kind = reader.choice("credential_type", (PUBLIC_KEY,))
    name = reader.text("name", longest=128)
    algorithm = reader.choice("alg", SIGNING_ALGORITHMS)
    pem = reader.text("pem", required=True, longest=LONGEST_PEM)
    kid = reader.text("kid", longest=128)
    if kind is None:
        reader.problem("credential_type", f"must be {PUBLIC_KEY}")
    if reader.boolean("parse_expiry_from_cert") or reader.text("expires_at"):
        reader.problem("expires_at", "keys do not expire here: delete one that is not to be used")
    key = _from_pem(reader, pem) if pem else None
    if key is None:
        return None
    found = {**key.as_dict(private=False), "kid": kid or key.thumbprint(), "use": "sig"}
    found |= {"alg": algorithm} if algorithm else {}
    return found | ({"name": name} if name else {})


def _from_pem(reader: Reader, pem: str) -> Any:
    """A public key. A private one was shown to somebody now, and must not be used any more."""
    if "PRIVATE" in pem:
        reader.problem("pem", "is a private key: give the public half only, and make a new key")
        return None
    for kind in _KINDS:
        try:
            return kind.import_key(pem)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm):
            continue
    reader.problem("pem", "is no public key in PEM")
    return None
