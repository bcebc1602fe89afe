"""The public keys of applications that authenticate by private_key_jwt: registered inline, or fetched from `jwks_uri`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

import requests
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idp.applications import keys as rules_of_keys
from idp.models import Application
from idp.outbound import gate, web
from idp.protocol.errors import InvalidClient, TemporarilyUnavailable
from idp.protocol.strict_json import parse_object

FRESH_SECONDS = 300
COOL_DOWN = 10  # seconds between requests to one URI, whatever fails: anybody can make up a key id


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a URI gave, and when it was asked last (monotonic seconds). `keys` is None for a failure.

    `forced_at`: because an assertion was signed by none of the keys. Rotating right after we asked locks nobody out.
    """

    keys: KeySet | None = None
    fresh_until: float = float("-inf")
    asked_at: float = float("-inf")
    forced_at: float = float("-inf")

    def of(self, now: float, *, newer: bool) -> KeySet | None:
        """The keys, if they may be gone by. `newer`: only if it is too early to ask again."""
        if self.keys is None or now >= self.fresh_until:
            return None
        return None if newer and now >= self.forced_at + COOL_DOWN else self.keys

    def asked(self, now: float, *, newer: bool) -> _Kept:
        return replace(self, asked_at=now, forced_at=now if newer else self.forced_at)


_fetched: dict[str, _Kept] = {}  # by URI
_locks: dict[str, threading.Lock] = {}  # one per uri: a slow one holds nobody else


def of(application: Application, *, newer: bool = False, use: str = "sig") -> KeySet:
    """The keys for signatures (`use`: or for encryption, `enc`), or InvalidClient when there are none that can be read.

    `newer`: none of the keys that are kept signed what came (OpenID Connect Core section 10.1.1), so they are asked for again
    unless that was done a moment ago.
    """
    try:
        if application.jwks:
            return rules_of_keys.meant_for(use, rules_of_keys.read(application.jwks))
        if uri := application.usable.jwks_uri:
            return rules_of_keys.meant_for(use, _kept(uri, newer=newer) or _fetch_in_turn(uri, newer=newer))
    except (JoseError, ValueError, KeyError, TypeError, requests.RequestException) as error:
        raise InvalidClient("Client authentication failed.", detail=f"keys of the client: {error}") from None
    raise InvalidClient("Client authentication failed.", detail="the client has no keys")


def _kept(uri: str, *, newer: bool) -> KeySet | None:
    """Keys for which nobody has to wait."""
    return _fetched.get(uri, _Kept()).of(time.monotonic(), newer=newer)


def _fetch_in_turn(uri: str, *, newer: bool) -> KeySet:
    """A client whose keys nobody could ask for did not fail to prove who it is. Raises TemporarilyUnavailable."""
    try:
        with gate.place():
            return _fetch(uri, newer=newer)
    except gate.NoPlace:
        busy = "The keys of the client cannot be asked for at the moment. Please try again."
        raise TemporarilyUnavailable(busy, detail=f"too many requests wait for other servers, {uri}") from None


def _fetch(uri: str, *, newer: bool) -> KeySet:
    """Wrong assertions make one request per URI in ten seconds at most, and so do failures: nobody is flooded through us."""
    with _locks.setdefault(uri, threading.Lock()):
        entry, now = _fetched.get(uri, _Kept()), time.monotonic()
        if (keys := entry.of(now, newer=newer)) is not None:  # somebody else asked meanwhile
            return keys
        if entry.fresh_until <= now < entry.asked_at + COOL_DOWN:
            raise ValueError(f"{uri} failed a moment ago")
        asked = _fetched[uri] = entry.asked(now, newer=newer)  # a failure leaves what is still fresh
        keys = _ask(uri)
        _fetched[uri] = replace(asked, keys=keys, fresh_until=time.monotonic() + FRESH_SECONDS)
        return keys


def _ask(uri: str) -> KeySet:
    with web.session() as client:
        answer = client.get(uri)
    if answer.status_code != 200:
        raise ValueError(f"{uri} answered {answer.status_code}")
    return rules_of_keys.read(parse_object(answer.content))
