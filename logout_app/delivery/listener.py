"""Hearing the bell: a subscription that survives a Redis that is refused, hung, flushed or restarted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import redis.asyncio
import structlog

from idp.redis import clients as redis_clients

log = structlog.get_logger(__name__)

CONNECT_LIMIT = 1.0
QUIET = 5.0  # seconds without a word after which the connection must answer a PING
AGAIN = 1.0


async def listen(url: str, channel: str, ring: Callable[[], None]) -> None:
    """Call `ring` for every message, for ever."""
    working = True
    while True:
        try:
            async with (
                redis_clients.asynchronous(
                    url, socket_connect_timeout=CONNECT_LIMIT, socket_timeout=CONNECT_LIMIT, retry=None, protocol=2
                ) as client,
                client.pubsub() as subscription,
            ):
                await asyncio.wait_for(subscription.subscribe(channel), QUIET)
                if not working:
                    log.warning("logout.bell.heard_again")
                working = True
                ring()  # what was rung meanwhile
                await _hear(subscription, ring)
        except (redis.RedisError, OSError) as error:
            if working:
                log.warning("logout.bell.unheard", error=repr(error))
            working = False
        await asyncio.sleep(AGAIN)


async def _hear(subscription: redis.asyncio.client.PubSub, ring: Callable[[], None]) -> None:
    asked = False
    while True:
        message = await subscription.get_message(timeout=QUIET)
        if message is None and asked:
            raise TimeoutError("no answer to PING")
        asked = message is None
        if asked:
            await asyncio.wait_for(subscription.ping(), QUIET)
        elif message["type"] == "message":
            ring()
