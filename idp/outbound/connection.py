"""One connection of the fan-out: made to an address that was vetted, and one request at a time."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from typing import cast

from aiohappyeyeballs import start_connection
from aiohappyeyeballs.types import AddrInfoType

from idp.outbound.answer import HttpAnswer
from idp.outbound.failure import Failure
from idp.outbound.proxy import Opening

PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT
NEXT_ADDRESS = 0.25  # seconds after which the next address of a name is tried beside the first (RFC 8305 section 5)


class HttpConnection(asyncio.Protocol):
    """Ends for good when its request is cancelled, when the answer is none or too long, and when it speaks unasked."""

    _transport: asyncio.Transport

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._answer: HttpAnswer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._has_served = False
        self._is_closed = False

    async def exchange(self, request: bytes, deadline: float) -> HttpAnswer:
        """Raises Failure, and TimeoutError at `deadline` of the loop's clock. Ask `is_quiet` first if it has served before."""
        loop = asyncio.get_running_loop()
        answer = self._answer = HttpAnswer()
        waiter = self._waiter = loop.create_future()
        timer = loop.call_at(deadline, self._fail, TimeoutError())  # asyncio.timeout() takes four times as long
        self._transport.write(request)
        try:
            await waiter
        except BaseException:
            self.abort()
            raise
        finally:
            timer.cancel()
            self._answer = self._waiter = None
            self._has_served = True
        return answer

    @property
    def is_quiet(self) -> bool:
        """Nothing has come unasked: no end, and no bytes, which would be taken for the answer of the next request.

        The system is asked, because what has arrived since the loop last looked has reached no method of ours.
        """
        if self._is_closed:
            return False
        try:
            self._socket.recv(1, PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def abort(self) -> None:
        self._is_closed = True
        self._transport.abort()

    # --- called by the loop ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.abort()
            return
        try:
            self._answer.feed(data)
        except Failure as failure:
            self._fail(failure)
        else:
            if self._answer.is_complete:
                self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closed = True
        if self._answer is None:
            return
        if error is None:
            self._answer.end()
        if self._answer.is_complete:
            self._wake()
            return
        unheard = self._has_served and not self._answer.has_begun
        kind = "tls" if isinstance(error, ssl.SSLError) else "reset"
        self._fail(Failure(kind, str(error or "the connection ended before the answer did"), unheard=unheard))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Failure | TimeoutError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


async def connect(
    addresses: Sequence[str], port: int, *, tls: ssl.SSLContext | None, name: str, tunnels: Sequence[bytes] = ()
) -> HttpConnection:
    """To the first address that takes it. `name` is what the certificate must be for. Raises Failure and TimeoutError.

    With `tunnels` the addresses are a proxy's, which is asked for one after the other until it grants one.
    """
    loop = asyncio.get_running_loop()
    try:
        connected = await (_through(addresses, port, tunnels) if tunnels else _connected(addresses, port))
        _, connection = await loop.create_connection(
            lambda: HttpConnection(connected), sock=connected, ssl=tls, server_hostname=name if tls else None
        )
    except TimeoutError:
        raise
    except ssl.SSLError as error:
        raise Failure("tls", str(error)) from error
    except (OSError, RuntimeError) as error:  # uvloop raises the latter for what connect() refuses at once
        raise Failure("connect", str(error)) from error
    return connection


async def _connected(addresses: Sequence[str], port: int) -> socket.socket:
    return await start_connection(
        [_information(address, port) for address in addresses], happy_eyeballs_delay=NEXT_ADDRESS
    )


async def _through(addresses: Sequence[str], port: int, tunnels: Sequence[bytes]) -> socket.socket:
    for request in tunnels[:-1]:
        try:
            return await _tunnel(await _connected(addresses, port), request)
        except Failure:
            continue  # the last one's is told
    return await _tunnel(await _connected(addresses, port), tunnels[-1])


async def _tunnel(connected: socket.socket, request: bytes) -> socket.socket:
    loop, opening = asyncio.get_running_loop(), Opening()
    try:
        await loop.sock_sendall(connected, request)
        while not opening.is_open(await loop.sock_recv(connected, 4096)):
            pass
    except BaseException:
        connected.close()
        raise
    return connected


def _information(address: str, port: int) -> AddrInfoType:
    is_v6 = ipaddress.ip_address(address).version == 6
    return (
        socket.AF_INET6 if is_v6 else socket.AF_INET,
        socket.SOCK_STREAM,
        socket.IPPROTO_TCP,
        "",
        (address, port, 0, 0) if is_v6 else (address, port),
    )
