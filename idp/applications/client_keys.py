"""The public keys of applications that authenticate by private_key_jwt: registered inline, or fetched from `jwks_uri`."""

from __future__ import annotations

import threading
import time

import requests
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idp.applications import keys as rules_of_keys
from idp.models import Application
from idp.outbound import gate, web
from idp.protocol.errors import InvalidClient, TemporarilyUnavailable
from idp.protocol.strict_json import parse_object

FRESH_SECONDS = 300
FAILED_SECONDS = 10
_fetched: dict[str, tuple[float, KeySet | None]] = {}  # uri -> good until, and the keys or None for a failure
_locks: dict[str, threading.Lock] = {}  # one per uri: a slow one holds nobody else


def of(application: Application) -> KeySet:
    """The key set, or InvalidClient when there is none that can be read."""
    try:
        if application.jwks:
            return rules_of_keys.read(application.jwks)
        if uri := application.usable.jwks_uri:
            return _kept(uri) or _fetch_in_turn(uri)
    except (JoseError, ValueError, KeyError, TypeError, requests.RequestException) as error:
        raise InvalidClient("Client authentication failed.", detail=f"keys of the client: {error}") from None
    raise InvalidClient("Client authentication failed.", detail="the client has no keys")


def _kept(uri: str) -> KeySet | None:
    """Keys that are fresh, for which nobody has to wait."""
    until, keys = _fetched.get(uri, (0.0, None))
    return keys if time.monotonic() < until else None


def _fetch_in_turn(uri: str) -> KeySet:
    """A client whose keys nobody could ask for did not fail to prove who it is. Raises TemporarilyUnavailable."""
    try:
        with gate.place():
            return _fetch(uri)
    except gate.NoPlace:
        busy = "The keys of the client cannot be asked for at the moment. Please try again."
        raise TemporarilyUnavailable(busy, detail=f"too many requests wait for other servers, {uri}") from None


def _fetch(uri: str) -> KeySet:
    """One request per URI in five minutes, or ten seconds after a failure: wrong assertions cannot make us flood somebody."""
    with _locks.setdefault(uri, threading.Lock()):
        until, keys = _fetched.get(uri, (0.0, None))
        if time.monotonic() >= until:
            _fetched[uri] = (time.monotonic() + FAILED_SECONDS, None)
            keys = _ask(uri)
            _fetched[uri] = (time.monotonic() + FRESH_SECONDS, keys)
        if keys is None:
            raise ValueError(f"{uri} failed a moment ago")
        return keys


def _ask(uri: str) -> KeySet:
    with web.session() as client:
        answer = client.get(uri)
    if answer.status_code != 200:
        raise ValueError(f"{uri} answered {answer.status_code}")
    return rules_of_keys.read(parse_object(answer.content))
