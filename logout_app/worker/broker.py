"""Celery's transports, except that a message which nobody can read ends no worker.

kombu lets a message that is not JSON, or not its envelope, raise out of the consumer's loop, which ends the worker; and what
BRPOP or a rename took from the queue does not come back. Such a message is set aside: named in the log, counted, gone.
So is one that is not ours (`protocol/envelope.py`). A task that nobody knows Celery refuses itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty
from typing import Any

from kombu.transport import filesystem, redis
from kombu.transport.virtual import Message

from logout_app.protocol import envelope
from logout_app.worker.aside_messages import UNREADABLE, set_aside, taken_by
from logout_app.worker.folder import FolderChannel

TASKS = "celery"  # the queue of tasks; others carry what Celery's programs tell each other


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


class RedisTransport(_Transport, redis.Transport):
    Channel = RedisChannel


class SentinelTransport(_Transport, redis.SentinelTransport):
    Channel = SentinelChannel


class FilesystemTransport(_Transport, filesystem.Transport):
    Channel = FolderChannel


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
        if channels:
            found = read(message, channels[0])
            tag = str(found.delivery_tag)
            if queue == TASKS:
                envelope.check(message, found.body)
        give(message, queue)
    except UNREADABLE as error:
        set_aside(error, str(message))
        _let_go(channels, tag)


def _let_go(channels: Sequence[Any], tag: str) -> None:
    """Or it would come again, and count as work in progress until then."""
    for channel in channels:
        if tag in channel.qos._delivered:
            channel.basic_reject(tag, requeue=False)


def read(message: Any, channel: Any) -> Message:
    """Raises for what is no message."""
    found = Message(message, channel=channel)
    hash((found.delivery_tag, found.delivery_info["exchange"], found.delivery_info["routing_key"]))
    return found
