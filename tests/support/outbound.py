"""For tests of what we send: rules, names, and a server that says exactly the bytes that it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from idp.outbound import policy
from idp.outbound.many import FORM, Fanout, Reply

PORTS = ("80", "443", "1024-65535")
LOOPBACK = policy.rules_of(allow=["127.0.0.0/8", "::1/128"], ports=PORTS, own_origin="https://id.example.com")
PUBLIC = policy.rules_of(allow=[], ports=PORTS, own_origin="https://id.example.com")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OTHER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Names:
    """A resolver that answers from a table, or never."""

    def __init__(self, **names: list[str]) -> None:
        self.names, self.asked = names, []

    async def addresses(self, host: str) -> list[str]:
        self.asked.append(host)
        if host == "hangs.example":
            await asyncio.sleep(30)
        await asyncio.sleep(0)
        if (found := self.names.get(host.split(".")[0])) is None:
            raise OSError("Domain name not found")
        return found

    async def close(self) -> None:
        return


class Wire:
    """What reached a raw server: whole requests, and how many connections were opened and ended."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.opened = self.ended = 0
        self.port = 0

    def url(self, host: str = "127.0.0.1", path: str = "/app") -> str:
        return f"http://{host}:{self.port}{path}"

    async def all_ended(self) -> None:
        async with asyncio.timeout(10):
            while self.ended < self.opened or not self.opened:
                await asyncio.sleep(0.01)


Behaviour = Callable[[Wire, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(*answers: bytes | None) -> Behaviour:
    """The n-th request, over all connections, is given the n-th answer; None and the end of the list end the connection unanswered."""

    async def behave(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await receive(wire, reader):
            number = len(wire.requests) - 1
            answer = answers[number] if number < len(answers) else None
            if answer is None:
                return
            writer.write(answer)

    return behave


async def receive(wire: Wire, reader: asyncio.StreamReader) -> bool:
    """Read one request; False: there is none any more."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        wire.requests.append(head + await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    return True


@asynccontextmanager
async def raw_server(behave: Behaviour, host: str = "127.0.0.1") -> AsyncIterator[Wire]:
    wire = Wire()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.opened += 1
        with suppress(ConnectionError):
            await behave(wire, reader, writer)
        writer.close()
        wire.ended += 1

    server = await asyncio.start_server(connection, host, 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()


async def post_form(client: Fanout, url: str, body: bytes) -> Reply:
    return await client.post(url, body, FORM)
