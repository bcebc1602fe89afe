"""Whether the Redis of REDIS_URL is there, asked before anything starts: what can never work is told from what is away for a moment."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import redis
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

from idp.redis import clients as redis_clients
from idp.redis import url as redis_url

LIMITS = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0, "retry": None, "protocol": 2}  # seconds
NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class NeverWorks(Exception):
    """A name that does not exist, a password that is refused, a certificate that is not for it, a server that is no Redis."""


class Away(Exception):
    """Refused, silent, still loading: it may be there in a moment, and Curfew works on without it."""


def try_once(url: str) -> None:
    """Raises NeverWorks or Away, with half a sentence that holds no password."""
    with redis_clients.client(url, **LIMITS) as client:
        if isinstance(client.connection_pool, SentinelConnectionPool):
            _try_sentinels(client.connection_pool, redis_url.parse(url))
        _told_apart(client.ping)


def _try_sentinels(pool: SentinelConnectionPool, place: redis_url.Place) -> None:
    """One that answers is enough."""
    failures = [failure for one in pool.sentinel_manager.sentinels if (failure := _failure(one.ping))]
    if len(failures) == len(place.hosts):
        raise next((failure for failure in failures if isinstance(failure, NeverWorks)), failures[0])
    unknown = Away if failures else NeverWorks
    _told_apart(lambda: _find_master(pool.sentinel_manager, place.service, unknown))


def _find_master(manager: Sentinel, service: str, unknown: type[NeverWorks | Away]) -> None:
    try:
        manager.discover_master(service)
    except MasterNotFoundError:  # its text names every client
        raise unknown(f"no Sentinel knows a working master {service!r}") from None


def _failure(act: Callable[[], object]) -> NeverWorks | Away | None:
    try:
        _told_apart(act)
    except (NeverWorks, Away) as failure:
        return failure
    return None


def _told_apart(act: Callable[[], object]) -> None:
    try:
        act()
    except (redis.RedisError, OSError) as error:
        raise (NeverWorks if _is_for_good(error) else Away)(str(error).rstrip(".")) from error


def _is_for_good(error: BaseException) -> bool:
    if isinstance(error, redis.AuthenticationError | redis.InvalidResponse | redis.ResponseError):
        return True
    causes = [error, error.__cause__, error.__context__]
    return any(
        isinstance(cause, ssl.SSLError) or (isinstance(cause, socket.gaierror) and cause.errno in NO_SUCH_NAME)
        for cause in causes
    )
