"""The public keys by which an application proves who it is: which ones are good enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, RSAKey

from idp.applications.problem import Problem
from idp.protocol import public_keys
from idp.protocol.text import storable

if TYPE_CHECKING:
    from idp.models import Application

SMALLEST_RSA_KEY = 2048  # bits; RFC 7518 section 3.3


def problems(application: Application) -> Iterator[Problem]:
    if application.jwks is None:
        return
    if reason := public_keys.problem(application.jwks) or storable.problem(application.jwks):
        yield Problem("jwks", reason)
    elif reason := _strength(application.jwks):
        yield Problem("jwks", reason, is_used=False)


def read(jwks: Any) -> KeySet:
    """The keys of a set that are strong enough, wherever the set came from. Raises ValueError, KeyError or TypeError."""
    keys = list(_usable(jwks))
    if not keys:
        raise ValueError("it holds no public key that we can use")
    strong = [key for key in keys if not _is_weak(key)]
    if not strong:
        raise ValueError(f"RSA keys of less than {SMALLEST_RSA_KEY} bits are not used")
    return KeySet(strong)


def meant_for(use: str, keys: KeySet) -> KeySet:
    """Those for `sig` or `enc`; a key that does not say is for both (RFC 7517 section 4.2). Raises ValueError where there is none."""
    found = [key for key in keys.keys if key.get("use", use) == use]
    if not found:
        raise ValueError(f"it holds no public key for {use} that we can use")
    return KeySet(found)


def _usable(jwks: Any) -> Iterator[Key]:
    """Without what a set holds for others: keys of kinds that we do not know (RFC 7517 section 5)."""
    if not isinstance(listed := jwks["keys"], list):
        raise ValueError("it has no list of keys")
    for value in listed:
        if isinstance(value, dict) and value.get("kty") in public_keys.KINDS:
            with suppress(JoseError, ValueError, KeyError, TypeError, AttributeError):
                yield from _read({"keys": [value]})


def _strength(jwks: Any) -> str | None:
    try:
        weak = any(_is_weak(key) for key in _read(jwks))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return "a key in it cannot be read"
    return f"it holds an RSA key of less than {SMALLEST_RSA_KEY} bits" if weak else None


def _read(jwks: Any) -> list[Key]:
    return list(KeySet.import_key_set(jwks).keys)


def _is_weak(key: Key) -> bool:
    return isinstance(key, RSAKey) and key.raw_value.key_size < SMALLEST_RSA_KEY
