"""Threads that answer whole requests. What they wait for is ours (a database, an upstream), never a client."""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from typing import Any

import structlog

from idp.serving import answers
from idp.serving.answers import Answer, Django

log = structlog.get_logger(__name__)
FAILED = answers.in_json(500, {"error": "server_error"})


class Threads:
    """`count` threads that live as long as the process, each with its own connection to the database."""

    def __init__(self, django: Django, count: int) -> None:
        self._django = django
        self._queue: SimpleQueue[tuple[dict[str, Any], asyncio.Future[Answer]]] = SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"web-{number}", daemon=True).start()

    def answer(self, environ: dict[str, Any]) -> asyncio.Future[Answer]:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.put((environ, future))
        return future

    def _work(self) -> None:
        while True:
            environ, future = self._queue.get()
            try:
                answer = answers.by_django(self._django, environ)
            except Exception:
                log.exception("request.failed")
                answer = FAILED
            future.get_loop().call_soon_threadsafe(_give, future, answer)


def _give(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():  # the client went away, and nobody waits
        future.set_result(answer)
