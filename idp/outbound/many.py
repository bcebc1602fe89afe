"""The transport of the fan-out: an HTTP/1.1 client for short POSTs with kept connections, guarded by the policy.

* The URL is judged, every answer of its name is vetted and one bad answer refuses all; what was vetted is what is dialled. The
  certificate is checked against the name. A kept connection goes to an address that was vetted for the same scheme, host and
  port; which hosts an application may have its URLs on is judged by the URL.
* One deadline covers everything from name resolution to the last byte that is read. Head and body have limits. No redirects,
  netrc, cookies or decompression; a proxy only as the rules name one.
* A kept connection is used only if nothing has come on it since its last answer. If it ends without a word nevertheless the
  request is not repeated here: somebody may have read it, and receivers refuse a token that they saw. `Reply.unheard`
  tells the caller, who can make another.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from idp.outbound import policy
from idp.outbound.answer import HttpAnswer
from idp.outbound.connection import HttpConnection, connect
from idp.outbound.failure import Failure
from idp.outbound.names import Names, Resolver, SystemResolver

KEEP_ALIVE = 4.0  # seconds; below the 5 s after which many servers close an idle connection
MOST_IDLE = 400
KNOWN_TARGETS = 4096
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
IN_A_TARGET = "/?:@!$&'()*+,;=-._~%[]"  # what RFC 3986 lets stand in path and query, and escapes that are there
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
HEADER_VALUE = re.compile(r"[\x20-\x7e]*")

Origin = tuple[str, str, int]  # scheme, host, port


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, or `error` (blocked, dns, connect, tls, timeout, reset, protocol) with its detail.

    `unheard`: most likely nobody read the request, because its kept connection had just been closed.
    """

    status: int | None = None
    body: str = ""
    retry_after: str = ""
    error: str = ""
    detail: str = ""
    unheard: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL goes: whom to connect to, and the first lines of each request."""

    origin: Origin
    head: bytes

    def request(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Raises Failure for headers that would be more than one line."""
        lines = FORM_LINES if headers is FORM else _lines(headers)
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (self.head, lines, len(body), body)


def _lines(headers: Mapping[str, str]) -> bytes:
    lines = []
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            raise Failure("blocked", "a header holds characters that no header has")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("ascii")


FORM_LINES = _lines(FORM)


def target_of(url: str, rules: policy.Rules) -> Target:
    """Raises Failure for a URL that the rules refuse."""
    if reason := policy.check_url(url, rules):
        raise Failure("blocked", f"{url} {reason}")
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or policy.DEFAULT_PORTS[parts.scheme]
    written = f"[{host}]" if ":" in host else host.rstrip(".")
    if port != policy.DEFAULT_PORTS[parts.scheme]:
        written = f"{written}:{port}"
    path = quote(parts.path or "/", safe=IN_A_TARGET) + (
        "?" + quote(parts.query, safe=IN_A_TARGET) if parts.query else ""
    )
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {written}\r\nAccept: */*\r\nAccept-Encoding: identity\r\nUser-Agent: Curfew\r\n"
    )
    return Target((parts.scheme, host, port), head.encode("ascii"))


class Pool:
    """Connections that wait for another request, those used last first."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[tuple[float, HttpConnection]]] = {}
        self._count = 0

    def take(self, origin: Origin) -> HttpConnection | None:
        kept = self._idle.get(origin)
        oldest = monotonic() - KEEP_ALIVE
        while kept:
            since, connection = kept.pop()
            self._count -= 1
            if not kept:
                del self._idle[origin]
            if since > oldest and connection.is_quiet:
                return connection
            connection.abort()
        return None

    def put(self, origin: Origin, connection: HttpConnection) -> None:
        if self._count >= MOST_IDLE:
            self._drop_one()
        self._idle.setdefault(origin, []).append((monotonic(), connection))
        self._count += 1

    def _drop_one(self) -> None:
        """The oldest of the origin that has waited longest for its turn: a busy origin keeps its connections."""
        origin = min(self._idle, key=lambda origin: self._idle[origin][0][0])
        _, connection = self._idle[origin].pop(0)
        connection.abort()
        self._count -= 1
        if not self._idle[origin]:
            del self._idle[origin]

    def close(self, idle_since: float) -> None:
        """Those that nobody has used since then."""
        for origin, kept in list(self._idle.items()):
            late = [entry for entry in kept if entry[0] <= idle_since]
            for _, connection in late:
                connection.abort()
            self._count -= len(late)
            self._idle[origin] = [entry for entry in kept if entry[0] > idle_since]
            if not self._idle[origin]:
                del self._idle[origin]


class Fanout:
    """POSTs. Use as an async context manager, in the loop that posts."""

    def __init__(
        self,
        rules: policy.Rules,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._rules, self._timeout = rules, timeout
        self._tls = tls or ssl.create_default_context()
        self._resolver = resolver
        self._pool = Pool()
        self._target = functools.lru_cache(KNOWN_TARGETS)(functools.partial(target_of, rules=rules))

    async def __aenter__(self) -> Self:
        self._names = Names(self._resolver or SystemResolver())
        self._tidying = asyncio.create_task(self._keep_tidy())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tidying.cancel()
        self._pool.close(monotonic())
        await self._names.close()

    async def _keep_tidy(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE)
            self._pool.close(monotonic() - KEEP_ALIVE)

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float | None = None, anew: bool = False
    ) -> Reply:
        """Never raises for what the other side does; cancellation passes. `anew`: on a connection of its own."""
        try:
            target = self._target(url)
            request = target.request(body, headers)
            answer = await self._exchange(target.origin, request, timeout or self._timeout, anew=anew)
        except Failure as failure:
            return Reply(error=failure.kind, detail=str(failure), unheard=failure.unheard)
        except TimeoutError as error:
            return Reply(error="timeout", detail=str(error))
        return Reply(answer.status, answer.body, answer.retry_after)

    async def _exchange(self, origin: Origin, request: bytes, timeout: float, *, anew: bool) -> HttpAnswer:
        deadline = asyncio.get_running_loop().time() + timeout
        connection = None if anew else self._pool.take(origin)
        if connection is None:
            async with asyncio.timeout_at(deadline):
                connection = await self._connect(origin)
        answer = await connection.exchange(request, deadline)
        if answer.is_reusable:
            self._pool.put(origin, connection)
        else:
            connection.abort()
        return answer

    async def _connect(self, origin: Origin) -> HttpConnection:
        scheme, host, port = origin
        tls, name = self._tls if scheme == "https" else None, host.rstrip(".")
        proxy = self._rules.proxy
        if proxy is None or not proxy.serves(scheme, host):
            return await connect(await self._vetted(scheme, host), port, tls=tls, name=name)
        targets = [host] if proxy.resolves else await self._vetted(scheme, host)
        own = [proxy.host] if _is_literal(proxy.host) else await self._names.addresses(proxy.host)
        return await connect(
            own, proxy.port, tls=tls, name=name, tunnels=[proxy.connect_request(t, port) for t in targets]
        )

    async def _vetted(self, scheme: str, host: str) -> list[str]:
        """Every address of the host, each of them vetted. Raises Failure."""
        addresses = [host] if _is_literal(host) else await self._names.addresses(host)
        for address in addresses:
            if reason := policy.check_address(address, self._rules, cleartext=scheme == "http"):
                raise Failure("blocked", reason)
        return addresses


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
