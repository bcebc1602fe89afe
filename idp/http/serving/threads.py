"""Threads that answer whole requests. What they wait for is ours (a database, an upstream), never a client."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from time import monotonic
from typing import Any

import structlog

from idp.http.serving import answers, limits
from idp.http.serving.answers import Django, WsgiAnswer

log = structlog.get_logger(__name__)
FAILED = answers.in_json(500, {"error": "server_error"})
BUSY = answers.in_json(
    503,
    {"error": "temporarily_unavailable", "error_description": "The server is busy. Please try again."},
    (b"retry-after", b"1"),
)


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """A whole request. `browser` is its cookies: whose requests wait for the same rows."""

    environ: dict[str, Any]
    size: int  # bytes of its body
    since: float
    answer: asyncio.Future[WsgiAnswer]

    @property
    def browser(self) -> str:
        return str(self.environ.get("HTTP_COOKIE", ""))


class Threads:
    """`count` threads that live as long as the process, each with its own connection to the database.

    One browser has half of them at the most, so that requests which all wait for one locked session keep nobody else from
    being served. Who has waited for too long is answered without asking Django. All but `_work` runs in the event loop.
    """

    def __init__(self, django: Django, count: int) -> None:
        self._django = django
        self._most_of_one = max(1, count // 2)
        self._queue: SimpleQueue[WaitingRequest] = SimpleQueue()
        self._at_work: dict[str, int] = {}  # requests that a thread has or will have, by browser
        self._later: dict[str, deque[WaitingRequest]] = {}
        self._held = self._count = 0  # bytes of bodies, and requests, that are not answered yet
        for number in range(count):
            threading.Thread(target=self._work, name=f"web-{number}", daemon=True).start()

    async def answer(self, environ: dict[str, Any], size: int) -> WsgiAnswer:
        """`size`: bytes of the body."""
        if self._count >= limits.MOST_WAITING or self._held + size > limits.MOST_HELD:
            return BUSY
        one = WaitingRequest(environ, size, monotonic(), asyncio.get_running_loop().create_future())
        self._count, self._held = self._count + 1, self._held + size
        self._admit(one)
        return await one.answer

    def _admit(self, one: WaitingRequest) -> None:
        if one.browser and self._at_work.get(one.browser, 0) >= self._most_of_one:
            self._later.setdefault(one.browser, deque()).append(one)
            return
        self._at_work[one.browser] = self._at_work.get(one.browser, 0) + 1
        self._queue.put(one)

    def _done(self, one: WaitingRequest, answer: WsgiAnswer) -> None:
        self._count, self._held = self._count - 1, self._held - one.size
        self._at_work[one.browser] -= 1
        if not self._at_work[one.browser]:
            del self._at_work[one.browser]
        if later := self._later.get(one.browser):
            self._admit(later.popleft())
            if not later:
                del self._later[one.browser]
        if not one.answer.done():  # cancelled: the client went away, and nobody waits
            one.answer.set_result(answer)

    def _work(self) -> None:
        while True:
            one = self._queue.get()
            answer = self._answered(one.environ) if monotonic() - one.since < limits.WAITS else BUSY
            self._tell(one.answer.get_loop().call_soon_threadsafe, one, answer)

    def _tell(self, later: Callable[..., Any], one: WaitingRequest, answer: WsgiAnswer) -> None:
        try:
            later(self._done, one, answer)
        except RuntimeError:  # the loop is closed: the process ends, and nobody waits
            log.warning("request.unanswered", path=one.environ["PATH_INFO"])

    def _answered(self, environ: dict[str, Any]) -> WsgiAnswer:
        try:
            return answers.by_django(self._django, environ)
        except Exception:
            log.exception("request.failed")
            return FAILED
