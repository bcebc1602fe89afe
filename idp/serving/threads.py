"""Threads that answer whole requests. What they wait for is ours (a database, an upstream), never a client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import structlog

from idp.serving import answers
from idp.serving.answers import Django, Form

log = structlog.get_logger(__name__)
Give = Callable[[bytes], object]


class Threads:
    """`count` threads that live as long as the process, each with its own connection to the database."""

    def __init__(self, django: Django, count: int) -> None:
        self._django = django
        self._queue: SimpleQueue[tuple[dict[str, Any], Form, Give]] = SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"web-{number}", daemon=True).start()

    def answer(self, environ: dict[str, Any], form: Form, give: Give) -> None:
        """Soon: `give` is called with the answer, in another thread."""
        self._queue.put((environ, form, give))

    def _work(self) -> None:
        while True:
            environ, form, give = self._queue.get()
            try:
                answer = answers.by_django(self._django, environ, form)
            except Exception:
                log.exception("request.failed")
                answer = answers.in_json(500, {"error": "server_error"}, form)
            give(answer)
