"""The bell: wakes the workers the moment a door has committed. It carries no facts, so that losing it loses no delivery."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from typing import Any, Protocol

import redis
import structlog
from django.conf import settings

from idp.redis import clients as redis_clients

CHANNEL = "curfew:bell"
LIMIT = 0.1  # seconds to connect, and seconds to answer: a request loses 0.2 s at most
SILENCE = 1.0  # seconds without another try after a failure
PUBLISH = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$0\r\n\r\n" % (len(CHANNEL), CHANNEL.encode())

log = structlog.get_logger(__name__)


def ring() -> None:
    """Wake the drains. Never raises; the workers' own timer comes to the same rows within a second."""
    if settings.REDIS_URL:
        _bell(settings.REDIS_URL).ring()


class _Bell:
    """Rings over a connection of each thread's own. After a failure nobody tries for a second."""

    def __init__(self, url: str) -> None:
        self._silent_until = 0.0
        self._threads = threading.local()
        self._connections = redis_clients.pool(
            url, socket_timeout=LIMIT, socket_connect_timeout=LIMIT, retry=None, protocol=2, driver_info=None
        )

    def ring(self) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            self._line().ring(time.monotonic())
        except (redis.RedisError, OSError) as error:
            self._silent_until = time.monotonic() + SILENCE
            log.warning("logout.bell.failed", error=f"{type(error).__name__}: {error}", silent_for=SILENCE)

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._threads, "line", None)
        if line is None:
            line = self._threads.line = _Line(self._connections.make_connection())
        return line


class _Connection(Protocol):
    """What we use of redis-py's."""

    def can_read(self) -> bool: ...
    def read_response(self) -> Any: ...
    def send_packed_command(self, command: bytes | list[bytes], check_health: bool = True) -> None: ...
    def disconnect(self) -> None: ...


class _Line:
    """A connection that publishes and reads what Redis said to it when it publishes next: a request waits for no answer."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._unanswered: deque[float] = deque()  # when they were rung

    def ring(self, now: float) -> None:
        """Raises what redis-py raises, also for what Redis answered to an earlier ring."""
        try:
            self._read_answers(now)
            self._connection.send_packed_command([PUBLISH], check_health=False)  # connects, if need be
        except (redis.RedisError, OSError):
            self._hang_up()
            raise
        self._unanswered.append(now)

    def _read_answers(self, now: float) -> None:
        try:
            while self._connection.can_read():  # also when it was closed
                self._connection.read_response()
                self._unanswered.popleft()
        except redis.ConnectionError as error:
            if type(error) is not redis.ConnectionError:  # a refusal: its classes are kinds of this
                raise
            self._hang_up()  # Redis was restarted since, or dropped an idle connection
        if self._unanswered and now > self._unanswered[0] + LIMIT:
            raise redis.TimeoutError("no answer to PUBLISH")

    def _hang_up(self) -> None:
        self._connection.disconnect()
        self._unanswered.clear()


@functools.cache
def _bell(url: str) -> _Bell:
    return _Bell(url)
