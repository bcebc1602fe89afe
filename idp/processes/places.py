"""Places for tasks that take long: a worker's threads are few, and one always stays free for what somebody waits for.

Sessions end and mails leave by short tasks, beside the purge, jobs of minutes, and whatever waits for others to answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from celery import Task, shared_task
from django.conf import settings
from django.db import close_old_connections

log = structlog.get_logger(__name__)
Act = Callable[[], None]


class Places:
    """Of one process. A task has one place at the most: twice at once it would do the same work, or take turns with itself."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held = set[str]()
        self._waiting: dict[str, Act] = {}

    def run(self, name: str, act: Act, *, waits: bool) -> None:
        """At once; or without a place, if it waits, in the thread of the next one that ends."""
        with self._lock:
            if name in self._held:
                return
            if len(self._held) >= self._most:
                if waits:
                    self._waiting[name] = act
                return
            self._held.add(name)
        try:
            act()
        finally:
            self._run_waiting(name)

    def _run_waiting(self, name: str) -> None:
        """In the place of the one that has ended, until nobody waits."""
        while following := self._pass_on(name):
            name, act = following
            close_old_connections()  # as Celery does between its tasks
            try:
                act()
            except Exception:  # of a task whose message is gone: the others that wait have their turn all the same
                log.exception("task.failed", task=name)
            except BaseException:  # somebody ends the thread
                with self._lock:
                    self._held.discard(name)
                raise

    def _pass_on(self, name: str) -> tuple[str, Act] | None:
        with self._lock:
            self._held.discard(name)
            if not self._waiting:
                return None
            following = next(iter(self._waiting))
            self._held.add(following)
            return following, self._waiting.pop(following)


names = set[str]()  # of long tasks
places = Places(max(1, settings.CELERY_WORKER_CONCURRENCY - 1))


def long_task(*, waits: bool) -> Callable[[Act], Task[Any, Any]]:
    """A task of Celery's that may hold its thread for longer than a few seconds. `waits`: its next time would be late, so without
    a place it has the next one that is free. What a process that ends had waiting is lost until then."""

    def decorate(act: Act) -> Task[Any, Any]:
        name = f"{act.__module__}.{act.__name__}"
        names.add(name)

        @shared_task(name=name)
        @wraps(act)
        def run() -> None:
            places.run(name, act, waits=waits)

        return run

    return decorate
