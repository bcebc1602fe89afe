"""The operator's HTTP proxy: https requests go through a tunnel that it opens (CONNECT, RFC 9110 section 9.3.6).

The certificate is checked against the name inside the tunnel, so the proxy sees where we go and nothing else. Names are resolved
and judged here and the proxy is told the address, unless the operator says that it resolves them: then it must keep us from
private networks itself, because nobody here knows what it dials. Requests over http go to the operator's own networks only,
and never through it.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from idp.outbound.failure import Failure

HEAD_LIMIT = 8192  # bytes of its answer
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxy:
    host: str
    port: int
    authorization: str = ""  # value of Proxy-Authorization
    resolves: bool = False
    direct_names: tuple[str, ...] = ()  # these hosts, and all below them, are reached without it
    direct_networks: tuple[Network, ...] = ()  # so are addresses of these in URLs

    def serves(self, scheme: str, host: str) -> bool:
        return scheme == "https" and not self._is_direct(host.lower().rstrip("."))

    def _is_direct(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return any(host == name or host.endswith(f".{name}") for name in self.direct_names)
        return any(address in network for network in self.direct_networks)

    def connect_request(self, host: str, port: int) -> bytes:
        """What opens the tunnel."""
        target = f"[{host}]:{port}" if ":" in host else f"{host.rstrip('.')}:{port}"
        secret = f"Proxy-Authorization: {self.authorization}\r\n" if self.authorization else ""
        return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: Curfew\r\n{secret}\r\n".encode("ascii")


class Opening:
    """Its answer to CONNECT, as it arrives."""

    def __init__(self) -> None:
        self._head = b""

    def is_open(self, data: bytes) -> bool:
        """False while there is more to come. Raises Failure when there will be no tunnel."""
        if not data:
            raise Failure("connect", "the proxy ended the connection")
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if len(head) > HEAD_LIMIT:
            raise Failure("connect", "the proxy's answer is too long")
        if not end:
            return False
        line = head.split(b"\r\n", 1)[0].decode("latin-1")
        version, _, status = line.partition(" ")
        if not version.startswith("HTTP/1.") or not status.startswith("2"):
            raise Failure("connect", f"the proxy refuses: {line[:100]}")
        if rest:
            raise Failure("connect", "something else than the proxy spoke first")
        return True


def proxy_of(*, url: str, resolves: bool, direct: Collection[str]) -> Proxy | None:
    """From settings; None without a URL. Raises ValueError with half a sentence that holds no password."""
    if not url:
        return None
    parts = urlsplit(url)
    try:
        port = parts.port or 3128
    except ValueError:
        raise ValueError("has no valid port") from None
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            "must be like http://proxy.example.com:3128, with user:password@ before the host if it asks for them"
        )
    names, networks = [], []
    for entry in direct:
        try:
            networks.append(ipaddress.ip_network(entry))
        except ValueError:
            names.append(entry.lower().strip("."))
    return Proxy(parts.hostname, port, _basic(parts.username, parts.password), resolves, tuple(names), tuple(networks))


def _basic(username: str | None, password: str | None) -> str:
    if username is None:
        return ""
    pair = f"{unquote(username)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")
