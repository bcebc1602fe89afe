"""The bell: wakes the workers the moment a door has committed. It carries no facts, so that losing it loses no delivery."""

from __future__ import annotations

import functools
import time

import redis
import structlog
from django.conf import settings

CHANNEL = "curfew:bell"
LIMIT = 0.1  # seconds to connect, and seconds to answer: a request loses 0.2 s at most
SILENCE = 1.0  # seconds without another try after a failure

log = structlog.get_logger(__name__)


def ring() -> None:
    """Wake the drains. Never raises; the workers' own timer comes to the same rows within a second."""
    if settings.REDIS_URL:
        _bell(settings.REDIS_URL).ring()


class _Bell:
    """A bare PUBLISH: no retry, so that one request pays the limit and those after it nothing."""

    def __init__(self, url: str) -> None:
        self._silent_until = 0.0
        self._client = redis.Redis.from_url(
            url, socket_timeout=LIMIT, socket_connect_timeout=LIMIT, retry=None, protocol=2, driver_info=None
        )

    def ring(self) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            self._client.publish(CHANNEL, b"")
        except (redis.RedisError, OSError) as error:
            self._silent_until = time.monotonic() + SILENCE
            log.warning("logout.bell.failed", error=repr(error), silent_for=SILENCE)


@functools.cache
def _bell(url: str) -> _Bell:
    return _Bell(url)
