"""What is asked of Redis: whether it takes a write, and whether it may throw keys away that nobody deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
import structlog
from django.conf import settings

from idp.redis import clients as redis_clients

LIMIT = 0.5  # seconds to connect, and to answer
KEY, KEPT = "curfew:readyz", 60  # seconds
KEEPS_ALL = "noeviction"
log = structlog.get_logger(__name__)


def write_failure() -> str:
    """ "" or why Redis takes no write, in a few words: a full one and a replica answer PING like any other."""
    try:
        with _client() as client:
            client.set(KEY, "1", ex=KEPT)
    except redis.OutOfMemoryError as error:
        return _failed("out of memory", error)
    except redis.ReadOnlyError as error:
        return _failed("read-only", error)
    except (redis.RedisError, OSError) as error:
        return _failed("unavailable", error)
    return ""


def eviction() -> str:
    """What Redis does when its memory is full: a policy's name, or "" where it does not say (managed ones hide it).

    Raises redis.RedisError or OSError when it cannot be asked at all.
    """
    with _client() as client:
        return _said(client.info, "memory", "maxmemory_policy") or _said(
            client.config_get, "maxmemory-policy", "maxmemory-policy"
        )


def warn_of_eviction() -> None:
    """At the start of web servers and workers. Never raises: a Redis that is away is no reason not to start."""
    if not settings.REDIS_URL:
        return
    try:
        policy = eviction()
    except (redis.RedisError, OSError) as error:
        log.warning("redis.unknown", error=repr(error))
        return
    if policy and policy != KEEPS_ALL:
        log.warning("redis.may_evict", policy=policy, wanted=KEEPS_ALL)


def _said(ask: Callable[[str], Any], what: str, name: str) -> str:
    """INFO says it also where CONFIG is forbidden or does not exist; perhaps neither may be asked."""
    try:
        answer = ask(what)
    except redis.ResponseError:
        return ""
    return str(answer.get(name) or "")


def _failed(why: str, error: Exception) -> str:
    log.warning("readyz.failed", check="redis", error=repr(error))
    return why


def _client() -> redis.Redis:
    return redis_clients.client(
        settings.REDIS_URL, socket_timeout=LIMIT, socket_connect_timeout=LIMIT, retry=None, protocol=2
    )
