"""A question whose answer is good for a moment, however many ask it: load balancers and monitors probe from everywhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

GOOD_FOR = 1.0  # seconds


class Probe:
    """`ask()` gives "" or what is wrong in a few words. While one thread asks, the others have the answer from before."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answer = ""
        self._until = float("-inf")

    def __call__(self) -> str:
        if time.monotonic() < self._until:
            return self._answer
        if not self._lock.acquire(blocking=self._until < 0):  # nobody has an answer yet
            return self._answer
        try:
            if time.monotonic() >= self._until:
                self._answer = self._ask()
                self._until = time.monotonic() + GOOD_FOR
            return self._answer
        finally:
            self._lock.release()

    def forget(self) -> None:
        self._until = float("-inf")
