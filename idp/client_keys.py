"""The public keys of applications that authenticate by private_key_jwt: registered inline, or fetched from `jwks_uri`."""

from __future__ import annotations

import json
import threading
import time

import requests
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idp.models import Application
from idp.outbound import web
from idp.protocol.errors import InvalidClient

FRESH_SECONDS = 300
LONGEST_BODY = 64 * 1024
_fetched: dict[str, tuple[float, KeySet]] = {}
_lock = threading.Lock()


def of(application: Application) -> KeySet:
    """The key set, or InvalidClient when there is none that can be read."""
    try:
        if application.jwks:
            return KeySet.import_key_set(application.jwks)
        if application.jwks_uri:
            return _fetch(application.jwks_uri)
    except (JoseError, ValueError, KeyError, TypeError, requests.RequestException) as error:
        raise InvalidClient("Client authentication failed.", detail=f"keys of the client: {error}") from None
    raise InvalidClient("Client authentication failed.", detail="the client has no keys")


def _fetch(uri: str) -> KeySet:
    """At most one request per URI in five minutes, so that wrong assertions cannot make us flood somebody."""
    with _lock:
        known = _fetched.get(uri)
        if known and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        with web.session() as client:
            answer = client.get(uri, timeout=5, allow_redirects=False)
        if answer.status_code != 200 or len(answer.content) > LONGEST_BODY:
            raise ValueError(f"{uri} answered {answer.status_code}")
        keys = KeySet.import_key_set(json.loads(answer.content))
        _fetched[uri] = (time.monotonic(), keys)
        return keys
