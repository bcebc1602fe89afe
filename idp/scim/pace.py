"""How fast one connection may write: enough for any sync, and never all of what this process has."""

from __future__ import annotations

import threading
from time import monotonic

A_SECOND = 200
AT_ONCE = 400


class Pace:
    """A bucket of tokens for each connection, in this process only: nobody guesses here, so nothing has to be exact."""

    def __init__(self, a_second: int = A_SECOND, at_once: int = AT_ONCE) -> None:
        self._a_second, self._at_once = a_second, at_once
        self._left: dict[int, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, connection: int) -> int:
        """Seconds until the next request is welcome; 0: now, and it is counted."""
        now = monotonic()
        with self._lock:
            left, since = self._left.get(connection, (float(self._at_once), now))
            left = min(self._at_once, left + (now - since) * self._a_second)
            allowed = left >= 1
            self._left[connection] = (left - allowed, now)
        return 0 if allowed else 1


PACE = Pace()
