"""The transport of the fan-out: aiohttp, one long-lived keep-alive client per worker process, guarded by the policy.

Every answer of a name is vetted and one bad answer refuses all; each socket is vetted again when it is made, because
aiohttp asks no resolver for IP literals. The certificate is checked against the name. One deadline covers everything
from name resolution to the last byte that is read.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import AsyncResolver

from idp.outbound import policy

BODY_LIMIT = 4096  # bytes of an answer that are read
KEEP_ALIVE = 4.0  # seconds; below the 5 s after which many servers close an idle connection
DNS_CACHE = 10  # seconds


class BlockedError(OSError):
    """The policy refuses where this request would go."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, or `error` (blocked, dns, connect, tls, timeout, reset, protocol) with its detail."""

    status: int | None = None
    body: str = ""
    retry_after: str = ""
    error: str = ""
    detail: str = ""


class VettingResolver(AbstractResolver):
    """Refuses a name of which any answer may not be dialled."""

    def __init__(self, inner: AbstractResolver, rules: policy.Rules, *, cleartext: bool) -> None:
        self._inner, self._rules, self._cleartext = inner, rules, cleartext

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answers = await self._inner.resolve(host, port, family)
        for answer in answers:
            refuse(answer["host"], self._rules, cleartext=self._cleartext)
        return answers

    async def close(self) -> None:
        await self._inner.close()


def refuse(address: str, rules: policy.Rules, *, cleartext: bool) -> None:
    if reason := policy.check_address(address, rules, cleartext=cleartext):
        raise BlockedError(reason)


class Fanout:
    """POSTs. Use as an async context manager, in the loop that posts."""

    def __init__(
        self,
        rules: policy.Rules,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._rules, self._timeout = rules, timeout
        self._tls = tls or ssl.create_default_context()
        self._resolver = resolver
        self._clients: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        resolver = self._resolver or AsyncResolver(timeout=2.0, tries=2)
        self._clients = {scheme: self._client(resolver, cleartext=scheme == "http") for scheme in policy.DEFAULT_PORTS}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.close()

    def _client(self, resolver: AbstractResolver, *, cleartext: bool) -> aiohttp.ClientSession:
        def vetted_socket(info: aiohttp.AddrInfoType) -> socket.socket:
            family, kind, protocol, _, address = info
            refuse(address[0], self._rules, cleartext=cleartext)
            return socket.socket(family, kind, protocol)

        connector = aiohttp.TCPConnector(
            limit=0,  # the drain bounds what is in flight, in total and per application
            resolver=VettingResolver(resolver, self._rules, cleartext=cleartext),
            socket_factory=vetted_socket,
            ssl=self._tls,
            keepalive_timeout=KEEP_ALIVE,
            ttl_dns_cache=DNS_CACHE,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            headers={"Accept-Encoding": "identity", "Accept": "*/*", "User-Agent": "Curfew"},
            trust_env=False,
        )

    async def post_form(self, url: str, body: bytes) -> Reply:
        return await self.post(url, body, {"Content-Type": "application/x-www-form-urlencoded"})

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Never raises for what the other side does; cancellation passes."""
        client = self._clients["http" if url[:5].lower() == "http:" else "https"]
        try:
            async with client.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                text = await _head_of_body(response)
                return Reply(response.status, text, response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return failure(error)


async def _head_of_body(response: aiohttp.ClientResponse) -> str:
    """At most BODY_LIMIT bytes; what is longer costs the connection, which is closed unread."""
    data = bytearray()
    while len(data) < BODY_LIMIT and not response.content.at_eof():
        data += await response.content.read(BODY_LIMIT - len(data))
    if not response.content.at_eof():
        response.close()
    return data.decode("utf-8", "replace")


def failure(error: Exception) -> Reply:
    """The error of a request in one word, and its detail."""
    if blocked := _blocked_in(error):
        return Reply(error="blocked", detail=str(blocked))
    return Reply(error=_kind_of(error), detail=str(error))


def _kind_of(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "dns"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connect"
    if isinstance(error, aiohttp.ServerDisconnectedError | OSError):
        return "reset"
    if isinstance(error, aiohttp.InvalidURL):
        return "blocked"
    return "protocol"


def _blocked_in(error: BaseException | None) -> BlockedError | None:
    """aiohttp wraps what a resolver or a socket factory raises."""
    while error is not None:
        if isinstance(error, BlockedError):
            return error
        error = error.__cause__ or error.__context__
    return None
