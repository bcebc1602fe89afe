"""Celery's transports, except that a message which nobody can read ends no worker.

kombu lets a message that is not JSON, or not its envelope, raise out of the consumer's loop, which ends the worker; and what
BRPOP or a rename took from the queue does not come back. Such a message is set aside: named in the log, counted, gone.
(A body that is not JSON, and a task that nobody knows, Celery refuses itself.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty
from typing import Any

import structlog
from django.db import DatabaseError, connection
from kombu.transport import filesystem, redis
from kombu.transport.virtual import Message

from logout_app import tallies
from logout_app.protocol.retry import printable

log = structlog.get_logger(__name__)

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
SHOWN = 200  # characters


class _Channel:
    """Mixed into a channel of kombu's."""

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        return _readable(super()._get, queue)  # type: ignore[misc]  # of the channel beside it


class _Transport:
    """Mixed into a transport of kombu's."""

    def _deliver(self: Any, message: Any, queue: str | None) -> None:
        deliver(super()._deliver, self.channels or (), message, queue)  # type: ignore[misc]  # of the transport beside it


class RedisChannel(_Channel, redis.Channel):
    def _brpop_read(self, **options: Any) -> Any:
        return _readable(super()._brpop_read, **options)  # type: ignore[misc]  # the stubs do not know it


class SentinelChannel(_Channel, redis.SentinelChannel):
    def _brpop_read(self, **options: Any) -> Any:
        return _readable(super()._brpop_read, **options)  # type: ignore[misc]  # the stubs do not know it


class FilesystemChannel(_Channel, filesystem.Channel):
    pass


class RedisTransport(_Transport, redis.Transport):
    Channel = RedisChannel


class SentinelTransport(_Transport, redis.SentinelTransport):
    Channel = SentinelChannel


class FilesystemTransport(_Transport, filesystem.Transport):
    Channel = FilesystemChannel


def _readable(take: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What `take` gives, or Empty after what it took was set aside."""
    try:
        return take(*args, **options)
    except UNREADABLE as error:
        set_aside(error, taken_by(error))
        raise Empty from None


def deliver(
    give: Callable[[Any, str | None], object], channels: Sequence[Any], message: Any, queue: str | None
) -> None:
    """Give the message to its consumer; an exception of the consumer is the message's fault."""
    tag = ""
    try:
        tag = tag_of(message, channels[0]) if channels else ""
        give(message, queue)
    except UNREADABLE as error:
        set_aside(error, str(message))
        _let_go(channels, tag)


def _let_go(channels: Sequence[Any], tag: str) -> None:
    """Or it would come again, and count as work in progress until then."""
    for channel in channels:
        if tag in channel.qos._delivered:
            channel.basic_reject(tag, requeue=False)


def tag_of(message: Any, channel: Any) -> str:
    """By which the message is acknowledged; raises for what is no message."""
    read = Message(message, channel=channel)
    hash((read.delivery_tag, read.delivery_info["exchange"], read.delivery_info["routing_key"]))
    return str(read.delivery_tag)


def taken_by(error: Exception) -> str:
    """What the queue gave, as far as the error knows it."""
    return str(getattr(error, "doc", getattr(error, "object", "")))


def set_aside(error: Exception, message: str) -> None:
    """Gone from the queue; its beginning is in the log."""
    log.error(
        "queue.message.set_aside", error=f"{type(error).__name__}: {error}"[:SHOWN], message=printable(message[:SHOWN])
    )
    try:
        tallies.add({("aside", "message"): 1})
    except DatabaseError as away:
        log.warning("queue.message.uncounted", error=str(away))
    finally:
        connection.close()  # this thread has no other use for one
