"""Connections to the Redis of REDIS_URL, for the cache, the broker and the bell: one reading, so that all verify alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import redis
from redis import asyncio as aio
from redis.asyncio import sentinel as aio_sentinel
from redis.sentinel import Sentinel, SentinelConnectionPool

from idp.redis import url as redis_url

BROKER_LIMITS: dict[str, Any] = {"socket_timeout": 5, "socket_connect_timeout": 2}  # seconds


def pool(url: str, **limits: Any) -> redis.ConnectionPool:
    """Connections to the Redis of this URL; with Sentinels, to the master of the moment."""
    place = redis_url.parse(url)
    options = {**limits, **place.login, "db": place.db, **(place.tls or {})}
    if place.service:
        sentinel = Sentinel(place.hosts, **_of_sentinels(place, limits))
        return SentinelConnectionPool(place.service, sentinel, ssl=place.tls is not None, **options)
    return redis.ConnectionPool(**options, **_where(place, redis))


def asynchronous(url: str, **limits: Any) -> aio.Redis:
    """A client that closes its connections when it is closed."""
    place = redis_url.parse(url)
    options = {**limits, **place.login, "db": place.db, **(place.tls or {})}
    if not place.service:
        return aio.Redis.from_pool(aio.ConnectionPool(**options, **_where(place, aio)))
    sentinel = aio_sentinel.Sentinel(place.hosts, **_of_sentinels(place, limits))
    return aio.Redis.from_pool(
        aio_sentinel.SentinelConnectionPool(place.service, sentinel, ssl=place.tls is not None, **options)
    )


def client(url: str, **limits: Any) -> redis.Redis:
    """A client that closes its connections when it is closed."""
    return redis.Redis.from_pool(pool(url, **limits))


class CachePool:
    """What Django's cache takes for a class of pools."""

    from_url = staticmethod(pool)


def _where(place: redis_url.Place, library: Any) -> dict[str, Any]:
    if place.path:
        return {"connection_class": library.UnixDomainSocketConnection, "path": place.path}
    host, port = place.hosts[0]
    secure = library.SSLConnection if place.tls is not None else library.Connection
    return {"connection_class": secure, "host": host, "port": port}


def _of_sentinels(place: redis_url.Place, limits: Mapping[str, Any]) -> dict[str, Any]:
    tls = {"ssl": True, **place.tls} if place.tls is not None else {}
    wanted = ("socket_timeout", "socket_connect_timeout", "retry", "protocol")
    # One that does not answer is not asked again, as redis-py would do for seconds: there is another.
    shared = {"retry": None, **{name: limits[name] for name in wanted if name in limits}}
    return {"sentinel_kwargs": {**shared, **place.sentinel_login, **tls}}


def broker(url: str) -> tuple[str, dict[str, Any] | None, dict[str, Any]]:
    """Celery's broker_url, broker_use_ssl and broker_transport_options, whose own reading of options differs from redis-py's."""
    place = redis_url.parse(url)
    login = ":".join(quote(place.login.get(name, ""), safe="") for name in ("username", "password"))
    at = f"{login}@" if place.login else ""
    if place.path:
        return f"redis+socket://{at}{quote(place.path)}?virtual_host={place.db}", None, BROKER_LIMITS
    scheme = "sentinel" if place.service else "redis"
    urls = ";".join(f"{scheme}://{at}{redis_url.host_and_port(host)}/{place.db}" for host in place.hosts)
    sentinels = {"master_name": place.service, **_of_sentinels(place, BROKER_LIMITS)} if place.service else {}
    return urls, None if place.tls is None else dict(place.tls), BROKER_LIMITS | sentinels
