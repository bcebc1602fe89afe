"""How many threads of the web server may wait for somebody else's server at once: signing out goes on whoever hangs.

Every request that we make takes a place, and so does every wait for an answer that another thread is fetching. Of the
threads one is always left. What people do and what programs send have a share each: forged tokens whose key set hangs keep
nobody from signing in, and a provider that hangs keeps no revocation from being believed. Who finds no place is told so at
once. Workers have no clients that wait, and no gate.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum, auto

from django.conf import settings

from idp.processes.role import ProcessRole, current

PATIENCE = 0.25  # seconds that a person waits for a place
NO_PATIENCE = 0.05  # seconds that a program does: it can come again


class Share(Enum):
    PEOPLE = auto()  # signing in, signing out upstream, an administrator's tests
    PROGRAMS = (
        auto()
    )  # tokens that name keys: revocations, logout tokens, client assertions; whatever nobody claimed before


class NoPlace(Exception):
    """Enough threads wait for other servers."""


class Gate:
    """Places for `threads`; one that a thread has counts for everything that it does meanwhile."""

    def __init__(self, threads: int) -> None:
        programs = max(1, (threads - 1) // 3)
        self._all = threading.BoundedSemaphore(max(1, threads - 1))
        self._of = {
            Share.PEOPLE: threading.BoundedSemaphore(max(1, threads - 1 - programs)),
            Share.PROGRAMS: threading.BoundedSemaphore(programs),
        }
        self._has = threading.local()

    @contextmanager
    def place(self, share: Share) -> Iterator[None]:
        """Raises NoPlace."""
        if current() is not ProcessRole.WEB or getattr(self._has, "place", False):
            yield
            return
        with _one_of(self._of[share], share), _one_of(self._all, share):
            self._has.place = True
            try:
                yield
            finally:
                self._has.place = False


@contextmanager
def _one_of(places: threading.BoundedSemaphore, share: Share) -> Iterator[None]:
    if not places.acquire(timeout=PATIENCE if share is Share.PEOPLE else NO_PATIENCE):
        raise NoPlace
    try:
        yield
    finally:
        places.release()


_gate = Gate(settings.WEB_THREADS)


def place(share: Share = Share.PROGRAMS) -> AbstractContextManager[None]:
    """A place at this process's gate. Raises NoPlace."""
    return _gate.place(share)
