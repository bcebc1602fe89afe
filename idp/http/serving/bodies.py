"""Bodies of requests, read to their end before a thread is asked, and within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from idp.http.serving import limits

Receive = Callable[[], Awaitable[dict[str, Any]]]


class TooLarge(Exception):
    """It is longer than any of ours; what came of it is dropped."""


class TooSlow(Exception):
    """It did not come in time, or had to give way to another."""


class Broken(Exception):
    """The client left before it had sent all, or sent a chunk without a length: ASGI does not tell them apart."""


class Bodies:
    """Those that are being read. An honest client sends its own in milliseconds."""

    def __init__(self) -> None:
        self._reading: dict[asyncio.Timeout, None] = {}  # in the order in which they began

    async def read(self, scope: Mapping[str, Any], receive: Receive) -> bytes:
        """The whole body, empty if there is none. Raises TooLarge, TooSlow or Broken."""
        announced = dict(scope["headers"])
        length = announced.get(b"content-length", b"0")
        if b"transfer-encoding" not in announced and length == b"0":
            return b""
        if len(length) > len(str(limits.LONGEST_BODY)) or int(length) > limits.LONGEST_BODY:
            raise TooLarge
        return await self._read(receive)

    async def _read(self, receive: Receive) -> bytes:
        end = asyncio.get_running_loop().time() + limits.BODY_WITHIN
        try:
            async with asyncio.timeout(None) as deadline:
                self._enter(deadline)
                return await _whole(receive, deadline, end)
        except TimeoutError:
            raise TooSlow from None
        finally:
            self._reading.pop(deadline, None)

    def _enter(self, deadline: asyncio.Timeout) -> None:
        if len(self._reading) >= limits.MOST_BODIES:
            oldest = next(iter(self._reading))
            del self._reading[oldest]
            oldest.reschedule(0)
        self._reading[deadline] = None


async def _whole(receive: Receive, deadline: asyncio.Timeout, end: float) -> bytes:
    body = bytearray()
    now = asyncio.get_running_loop().time
    while True:
        deadline.reschedule(min(end, now() + limits.NEXT_PIECE_WITHIN))
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Broken
        body += message.get("body", b"")
        if len(body) > limits.LONGEST_BODY:
            raise TooLarge
        if not message.get("more_body", False):
            return bytes(body)
