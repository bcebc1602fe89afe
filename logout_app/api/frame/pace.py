"""How many requests a caller may make in a moment, and the headers that say how many are left."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from time import monotonic

A_SECOND = 100
AT_ONCE = 200
MOST_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Left:
    """`full_at`: Unix time at which all of them are free again."""

    remaining: int
    full_at: int
    allowed: bool

    @property
    def headers(self) -> dict[str, str]:
        said = {"Limit": AT_ONCE, "Remaining": self.remaining, "Reset": self.full_at}
        return {f"X-RateLimit-{name}": str(value) for name, value in said.items()}


class CallerPace:
    """A bucket for each caller, in this process only: nobody guesses here, so nothing has to be exact."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, caller: str) -> Left:
        now = monotonic()
        with self._lock:
            if len(self._left) > MOST_CALLERS:
                self._left.clear()
            left, since = self._left.get(caller, (float(AT_ONCE), now))
            left = min(AT_ONCE, left + (now - since) * A_SECOND)
            allowed = left >= 1
            left -= allowed
            self._left[caller] = (left, now)
        return Left(int(left), int(time.time() + (AT_ONCE - left) / A_SECOND + 1), allowed)


PACE = CallerPace()
