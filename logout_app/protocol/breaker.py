"""One receiver's breaker: it opens after five failures in a row and probes with one request at a time.

Pure: times are seconds of one monotonic clock, given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

THRESHOLD = 5
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class Breaker:
    failures: int = 0  # in a row
    silent_until: float = 0.0  # no request before: the breaker is open, or the receiver asked for a pause
    in_flight: int = 0

    def room(self, cap: int, now: float) -> int:
        """How many more requests may be in flight."""
        if now < self.silent_until:
            return 0
        return max(0, (1 if self.is_open else cap) - self.in_flight)

    @property
    def is_open(self) -> bool:
        return self.failures >= THRESHOLD

    def succeeded(self) -> None:
        if self.is_open:
            self.silent_until = 0.0
        self.failures = 0

    def failed(self, now: float) -> None:
        """Each failed probe doubles the wait. Failures that were in flight when it opened do not count again."""
        if self.is_open and now < self.silent_until:
            return
        self.failures += 1
        if self.is_open:
            self.pause(now + min(FIRST_PAUSE * 2.0 ** (self.failures - THRESHOLD), LONGEST_PAUSE))

    def pause(self, until: float) -> None:
        self.silent_until = max(self.silent_until, until)
