"""How many requests a caller may make in a moment, over all web processes, and the headers that say how many are left.

They are counted in a row of the limiter, for windows that begin at the same moment everywhere. Nobody guesses here, so the
count need not be exact: a process lets the first few of a window pass by itself, and takes the right to more in lots. Who asks
now and then costs no statement, who asks as fast as they may one in twenty requests.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from idp.limits import limiter
from idp.limits.limiter import Limit

LIMIT = Limit("api", 200, 2)
FREE = 20  # requests of a window that a process does not ask for
LOT = 20
MOST_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Left:
    """`full_at`: Unix time at which all of them are free again; `wait`: seconds until then."""

    remaining: int
    full_at: int
    wait: int
    allowed: bool

    @property
    def headers(self) -> dict[str, str]:
        said = {"Limit": LIMIT.count, "Remaining": self.remaining, "Reset": self.full_at}
        return {f"X-RateLimit-{name}": str(value) for name, value in said.items()}


@dataclass(slots=True)
class CallerWindow:
    """What this process knows of a caller in one window. `taken`: what all processes together took, when it was asked last."""

    ends: int
    granted: int
    used: int = 0
    taken: int = 0
    is_shared: bool = False
    is_over: bool = False

    @property
    def remaining(self) -> int:
        beyond = max(0, LIMIT.count - self.taken) if self.is_shared else LIMIT.count - self.granted
        return self.granted - self.used + beyond


class CallerPace:
    def __init__(self) -> None:
        self._windows: dict[str, CallerWindow] = {}
        self._lock = threading.Lock()

    def take(self, caller: str, at: datetime) -> Left:
        """One request. A statement where this process has nothing left that it may give."""
        with self._lock:
            window = self._of(caller, at)
            if window.used < window.granted or window.is_over:
                return self._left(window, at)
            amount = LOT if window.is_shared else LOT + window.granted
            window.is_shared = True
        taken = limiter.take(LIMIT.key(caller), amount, at)
        with self._lock:
            beyond = max(0, taken - LIMIT.count)
            window.taken, window.is_over = taken, beyond > 0
            window.granted += max(0, LOT - beyond)
            return self._left(window, at)

    def forget(self) -> None:
        self._windows.clear()

    def _of(self, caller: str, at: datetime) -> CallerWindow:
        ends = int(at.timestamp()) + limiter.seconds_left(LIMIT, at)
        window = self._windows.get(caller)
        if window is None or window.ends != ends:
            if len(self._windows) > MOST_CALLERS:
                self._windows.clear()
            window = self._windows[caller] = CallerWindow(ends, min(FREE, LIMIT.count))
        return window

    def _left(self, window: CallerWindow, at: datetime) -> Left:
        allowed = window.used < window.granted
        window.used += allowed
        return Left(window.remaining, window.ends, max(1, window.ends - int(at.timestamp())), allowed)


PACE = CallerPace()
