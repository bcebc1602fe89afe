"""An upstream that hangs must not take every thread of the web server with it: signing out goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from idp.protocol.errors import TemporarilyUnavailable

PATIENCE = 0.25  # seconds that a sign-in waits for its turn

_turns = threading.BoundedSemaphore(max(1, settings.WEB_THREADS - 1))


@contextmanager
def turn() -> Iterator[None]:
    """While a sign-in waits for its upstream, of whatever protocol. Raises TemporarilyUnavailable when too many do."""
    if not _turns.acquire(timeout=PATIENCE):
        raise TemporarilyUnavailable("Too many people are signing in right now. Please try again in a moment.")
    try:
        yield
    finally:
        _turns.release()
