"""Names to addresses, for the fan-out: asked once at a time, kept for ten seconds.

Whether an address may be dialled is not decided here.
"""

from __future__ import annotations

import asyncio
import socket
from time import monotonic
from typing import Protocol

import aiodns

from idp.outbound.failure import Failure

KEPT = 10.0  # seconds
MOST = 10_000  # names
TRIES, TIMEOUT = 2, 2.0  # of the resolver, seconds each


class Resolver(Protocol):
    async def addresses(self, host: str) -> list[str]:
        """All of them, best first. Raises OSError."""

    async def close(self) -> None: ...


class SystemResolver:
    """c-ares with /etc/resolv.conf and /etc/hosts: needs no thread for each lookup, so a name server that hangs holds up nobody."""

    def __init__(self) -> None:
        self._resolver = aiodns.DNSResolver(timeout=TIMEOUT, tries=TRIES)

    async def addresses(self, host: str) -> list[str]:
        try:
            found = await self._resolver.getaddrinfo(host, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        except aiodns.error.DNSError as error:
            raise OSError(error.args[1] if len(error.args) > 1 else "the lookup failed") from error
        return [_text(node.addr) for node in found.nodes]

    async def close(self) -> None:
        await self._resolver.close()


def _text(address: tuple[bytes, int] | tuple[bytes, int, int, int]) -> str:
    """With its zone, if it has one: the policy refuses those."""
    zone = f"%{address[3]}" if len(address) > 2 and address[3] else ""
    return address[0].decode("ascii") + zone


class Names:
    """The resolver's answers for everybody in one loop."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._asking: dict[str, asyncio.Task[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """At least one address. Raises Failure."""
        kept_until, addresses = self._known.get(host, (0.0, []))
        if monotonic() < kept_until:
            return addresses
        if host not in self._asking:
            self._asking[host] = asyncio.create_task(self._ask(host))
        return await asyncio.shield(self._asking[host])  # who gives up does not spoil it for the others

    async def _ask(self, host: str) -> list[str]:
        try:
            addresses = await self._resolver.addresses(host)
        except OSError as error:
            raise Failure("dns", f"{host} does not resolve: {error}") from error
        finally:
            del self._asking[host]
        if not addresses:
            raise Failure("dns", f"{host} has no address")
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[host] = monotonic() + KEPT, addresses
        return addresses

    async def close(self) -> None:
        for task in list(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        await self._resolver.close()
