"""Keys of our own, which take a tenth of a second each to make, and a third of it to read: a test gets those that earlier
tests made, and none twice.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any


class KeptKeys:
    """In place of a function that makes keys. What it has made for a test before `begin_again` comes again after it."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        self._kept: dict[tuple[object, ...], list[Any]] = {}
        self._given: Counter[tuple[object, ...]] = Counter()
        self._lock = threading.Lock()

    def __call__(self, *how: object) -> Any:
        with self._lock:
            kept, number = self._kept.setdefault(how, []), self._given[how]
            if number == len(kept):
                kept.append(self._make(*how))
            self._given[how] += 1
            return kept[number]

    def begin_again(self) -> None:
        self._given.clear()


def read_once(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """In place of what reads a private key as PEM, or a public one as JWK, which nobody changes."""
    once = cache(read)
    return lambda algorithm, key: (once if isinstance(key, str) else read)(algorithm, key)
