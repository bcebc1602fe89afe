"""Metadata by URL, fetched by each process for itself: fresh for an hour, kept when the publisher is away, asked again after a rollover."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from time import monotonic

import requests

from idp.connections.saml import idp_metadata
from idp.connections.saml.idp_metadata import BadMetadata, IdpMetadata
from idp.outbound import gate, web

FRESH = 3600.0  # seconds; a new key is noticed sooner, by its first signature, one that was taken away is not
COOL_DOWN = 60.0  # between two fetches that somebody's unknown signature asks for
RETRY = 10.0  # after a failure: nobody waits for a dead publisher more often


class Unavailable(Exception):
    """No metadata; the text is a sentence for the administrator. `status` is that of the page."""

    status = 502


class Busy(Unavailable):
    """Nobody was asked: enough threads wait for other servers."""

    status = 503


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    metadata: IdpMetadata | None = None
    tried_at: float = float("-inf")
    fetched_at: float = float("-inf")
    failure: str = ""


_entries: dict[str, _Entry] = {}
_entries_lock = threading.Lock()
LARGEST = 1000  # URLs; more than any installation has connections


def get(url: str, *, suspect: bool = False) -> IdpMetadata:
    """The document at `url`. `suspect`: something was signed by a key that it does not name, so it may have changed.

    A document that cannot be fetched or used never takes the place of one that could. Raises Unavailable.
    """
    entry = _entry(url)
    if entry.metadata is not None and not entry.lock.locked() and not _is_due(entry, suspect):
        return entry.metadata
    try:
        with gate.place():
            return _renewed(url, entry, suspect)
    except gate.NoPlace:
        if entry.metadata is not None and not suspect:
            return entry.metadata
        raise Busy(f"The metadata at {url} was not asked for: too many requests wait for other servers.") from None


def _renewed(url: str, entry: _Entry, suspect: bool) -> IdpMetadata:
    known = entry.metadata
    if not entry.lock.acquire(blocking=known is None or suspect) and known is not None:
        return known  # somebody else is fetching: nobody has to wait for that
    try:
        if _is_due(entry, suspect):
            _refresh(url, entry)
        if entry.metadata is None:
            raise Unavailable(entry.failure)
        return entry.metadata
    finally:
        entry.lock.release()


def fetch(url: str) -> IdpMetadata:
    """Past the cache: what *Test connection* asks. Raises Unavailable."""
    try:
        answer = web.session(body_limit=idp_metadata.LONGEST).get(url)
    except requests.RequestException as error:
        raise Unavailable(f"The metadata at {url} cannot be fetched: {error}.") from error
    if answer.status_code != 200:
        raise Unavailable(f"The metadata at {url} cannot be fetched: the server answered {answer.status_code}.")
    try:
        return idp_metadata.read(answer.content)
    except BadMetadata as error:
        raise Unavailable(f"The metadata at {url} {error}.") from error


def clear() -> None:
    with _entries_lock:
        _entries.clear()


def _entry(url: str) -> _Entry:
    with _entries_lock:
        if len(_entries) >= LARGEST and url not in _entries:
            _entries.clear()
        return _entries.setdefault(url, _Entry())


def _is_due(entry: _Entry, suspect: bool) -> bool:
    now = monotonic()
    if now < entry.tried_at + RETRY:
        return False
    if suspect and now >= entry.fetched_at + COOL_DOWN:
        return True
    return now >= entry.fetched_at + FRESH


def _refresh(url: str, entry: _Entry) -> None:
    entry.tried_at = monotonic()
    try:
        entry.metadata = fetch(url)
    except Unavailable as error:
        entry.failure = str(error)
    else:
        entry.fetched_at, entry.failure = monotonic(), ""
    entry.tried_at = monotonic()
