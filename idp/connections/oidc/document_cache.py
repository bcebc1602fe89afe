"""Documents of upstreams that are kept in the process: asked for once at a time, and not too often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import wire
from idp.connections.oidc.wire import Deadline
from idp.outbound import gate

T = TypeVar("T")
log = structlog.get_logger(__name__)

FRESH = (60.0, 600.0, 600.0)  # seconds that a document is not asked for again: least, unless said otherwise, most
# While its server fails, a document serves for this long after it was last fetched. Shorter, and a short outage of a key
# set signs nobody in; longer, and whoever stole a signing key could keep its withdrawal from us by keeping us from asking.
STALE = 4 * 3600.0
AFTER_FAILURE = 5.0  # seconds until a failing server is asked again
COOL_DOWN = 10.0  # seconds between requests that a token's unknown key may cause: anybody can make up a key id


@dataclass(slots=True)
class _Entry(Generic[T]):
    value: T | None = None
    fetched_at: float = 0.0
    fresh_until: float = 0.0
    not_before: float = 0.0  # no request earlier
    forced_at: float = float("-inf")
    fault: UpstreamFault | None = None

    def servable(self, now: float) -> T | None:
        return self.value if self.value is not None and now < self.fetched_at + STALE else None


class Shelf(Generic[T]):
    """By URL. Thread-safe; a slow server holds up only those who have nothing older to go on with."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._entries: dict[str, _Entry[T]] = {}
        self._locks: dict[str, threading.Lock] = {}

    def get(self, key: str, fetch: Callable[[], tuple[T, int | None]], deadline: Deadline, *, newer: bool = False) -> T:
        """The document, fetched if it is not fresh. `newer`: what is kept was not good enough, ask again if it is time.

        `fetch` gives the document and its max-age. Raises UpstreamFault when there is nothing that may be served.
        """
        entry, now = self._entries.get(key) or _Entry[T](), time.monotonic()
        cached = entry.servable(now)
        if cached is not None and not newer and now < entry.fresh_until:
            return cached
        lock = self._locks.setdefault(key, threading.Lock())
        if cached is not None and newer and not lock.locked() and now < entry.forced_at + COOL_DOWN:
            return cached
        try:
            with gate.place():
                return self._fetched(key, entry, fetch, deadline, lock, newer=newer)
        except gate.NoPlace:
            if cached is not None and not newer:
                return cached
            raise wire.busy(self._what, key) from None  # what is kept may be too old: to go by it would be a guess

    def _fetched(
        self,
        key: str,
        entry: _Entry[T],
        fetch: Callable[[], tuple[T, int | None]],
        deadline: Deadline,
        lock: threading.Lock,
        *,
        newer: bool,
    ) -> T:
        """One thread at a time asks the server; who has nothing older to go on with waits for it."""
        cached, seen = entry.servable(time.monotonic()), entry.fetched_at
        patience = deadline.left() if cached is None or newer else 0.0
        if not lock.acquire(timeout=patience):
            if cached is None:
                raise UpstreamFault(f"{self._what} at {key} did not answer in time.", status=504)
            return cached
        try:
            return self._renewed(key, seen, fetch, newer=newer)
        finally:
            lock.release()

    def _renewed(self, key: str, seen: float, fetch: Callable[[], tuple[T, int | None]], *, newer: bool) -> T:
        """With the lock held: somebody else may have asked meanwhile."""
        entry, now = self._entries.setdefault(key, _Entry[T]()), time.monotonic()
        cached = entry.servable(now)
        if cached is not None and (entry.fetched_at > seen or (newer and now < entry.forced_at + COOL_DOWN)):
            return cached
        if now >= entry.not_before:
            entry.forced_at = now if newer else entry.forced_at
            try:
                return self._store(entry, fetch())
            except UpstreamFault as fault:
                if fault.status == wire.NOT_ASKED:
                    raise
                entry.fault, entry.not_before = fault, time.monotonic() + AFTER_FAILURE
                log.warning("upstream.fetch_failed", reason=fault.reason, serving_older=cached is not None)
        if cached is not None:
            return cached
        raise entry.fault or UpstreamFault(f"{self._what} at {key} did not answer.", status=502)

    def _store(self, entry: _Entry[T], found: tuple[T, int | None]) -> T:
        value, max_age = found
        least, usual, most = FRESH
        entry.value, entry.fetched_at, entry.fault = value, time.monotonic(), None
        entry.fresh_until = entry.fetched_at + (usual if max_age is None else min(max(max_age, least), most))
        return value

    def clear(self) -> None:
        self._entries.clear()
