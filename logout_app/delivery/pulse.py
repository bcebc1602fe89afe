"""Whether this worker's tasks run: a worker whose drain reports may have a queue that stands still."""

from __future__ import annotations

from time import monotonic
from typing import Any

from celery import signals

_ran_at: float | None = None  # by this process's monotonic clock; None: it is no worker


def begin() -> None:
    """As a worker: what it has not run yet counts from now."""
    beat()
    signals.task_postrun.connect(beat)


def beat(**_: Any) -> None:
    global _ran_at
    _ran_at = monotonic()


def idle() -> float | None:
    """Seconds since a task last ended here, however it ended."""
    return None if _ran_at is None else monotonic() - _ran_at
