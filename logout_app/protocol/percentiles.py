"""Percentiles of a few thousand numbers, by the nearest rank: each is a number that was really there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds. Of nothing there is no spread: `count` 0 has no other field that means anything."""

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    slowest: float = 0.0


def spread(seconds: Iterable[float]) -> Spread:
    found = sorted(seconds)
    if not found:
        return Spread()
    return Spread(len(found), _rank(found, 0.5), _rank(found, 0.95), _rank(found, 0.99), found[-1])


def _rank(found: list[float], share: float) -> float:
    return found[max(0, ceil(share * len(found)) - 1)]
