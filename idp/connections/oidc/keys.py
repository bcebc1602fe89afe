"""The keys that an upstream signs with: ID tokens, logout tokens, and Global Token Revocation requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import discovery, options, wire
from idp.connections.oidc.document_cache import Shelf
from idp.connections.oidc.wire import Deadline
from idp.models import Connection

WHAT = "The key set"
MOST_KEYS = 100
RSA_BITS = range(2048, 8193)
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
# The members that make a public key; whatever else a key set says about its keys is read here or not at all.
_KINDS: Mapping[str, tuple[type[RSAKey | ECKey | OKPKey], tuple[str, ...]]] = {
    "RSA": (RSAKey, ("n", "e")),
    "EC": (ECKey, ("crv", "x", "y")),
    "OKP": (OKPKey, ("crv", "x")),
}


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key, and what it is published for."""

    key: Key
    kid: str | None
    alg: str | None

    def fits(self, alg: str) -> bool:
        if self.alg not in (None, alg):
            return False
        if isinstance(self.key, RSAKey):
            return alg[:2] in ("RS", "PS")
        if isinstance(self.key, ECKey):
            return _CURVES.get(alg) == self.key.curve_name
        return alg == "EdDSA" and self.key.get("crv") == "Ed25519"


_sets: Shelf[tuple[PublishedKey, ...]] = Shelf(WHAT)


def signing_keys(
    connection: Connection, kid: str | None, alg: str, *, deadline: Deadline | None = None, suspect: bool = False
) -> list[Key]:
    """The keys that may have signed this: those with its kid, or every one that fits if it has none. May be empty.

    A kid that is not known makes the key set be asked for again, after a cool-down; so does `suspect`: something without a
    kid was signed by none of them. Which algorithms are allowed is for the caller. Raises UpstreamFault when there is no
    key set to be had (answer 503, not 401).
    """
    deadline = deadline or Deadline()
    return of_provider(discovery.provider(options.of(connection), deadline), kid, alg, deadline, suspect=suspect)


def of_provider(
    upstream: discovery.Provider, kid: str | None, alg: str, deadline: Deadline, *, suspect: bool = False
) -> list[Key]:
    return at(upstream.jwks_uri, kid, alg, deadline, suspect=suspect)


def at(url: str, kid: str | None, alg: str, deadline: Deadline, *, suspect: bool = False) -> list[Key]:
    """The same by the key set's own address."""
    for newer in (True,) if suspect else (False, True):
        published = _sets.get(url, lambda: fetch(url, deadline), deadline, newer=newer)
        if found := suitable(published, kid, alg):
            return found
    return []


def suitable(published: tuple[PublishedKey, ...], kid: str | None, alg: str) -> list[Key]:
    """Keys without a kid of their own are suitable for every kid."""
    fitting = [entry for entry in published if entry.fits(alg)]
    if kid is None:
        return [entry.key for entry in fitting]
    return [entry.key for entry in fitting if entry.kid == kid] or [entry.key for entry in fitting if entry.kid is None]


def fetch(url: str, deadline: Deadline) -> tuple[tuple[PublishedKey, ...], int | None]:
    """The key set from its server, whatever is kept."""
    document = wire.fetch(WHAT, url, deadline)
    listed = document.values.get("keys")
    if not isinstance(listed, list):
        said = wire.error_in(document.values)
        raise UpstreamFault(f"{WHAT} at {url} has no list of keys{f', but an error: {said}' if said else ''}.")
    found = tuple(entry for value in listed[:MOST_KEYS] if (entry := read(value)))
    if not found:
        raise UpstreamFault(f"{WHAT} at {url} has no public key for signatures that we can use.")
    return found, document.max_age


def read(value: Any) -> PublishedKey | None:
    """One member of a key set, None if it is not a public key for signatures that we can use (RFC 7517 section 5)."""
    if not isinstance(value, dict) or value.get("use", "sig") != "sig":
        return None
    try:
        kind, members = _KINDS[value["kty"]]
        key = kind.import_key({"kty": value["kty"], **{name: value[name] for name in members}})
        size = key.raw_value.key_size if isinstance(key, RSAKey) else RSA_BITS[0]
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if size not in RSA_BITS:
        return None
    kid, alg = value.get("kid"), value.get("alg")
    return PublishedKey(key, kid if isinstance(kid, str) else None, alg if isinstance(alg, str) else None)


def forget() -> None:
    """Begin anew: for tests, where a port is soon somebody else's."""
    _sets.clear()
