"""Facts of one request that sessions, tokens and the audit trail keep."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """Where a request came from; `ip` is None when the transport gave none (a Unix socket)."""

    ip: str | None = None
    user_agent: str = ""


def facts(request: HttpRequest) -> RequestFacts:
    user_agent = request.headers.get("User-Agent", "")[:500]
    if not user_agent.isprintable():  # NUL and lone surrogates would be an error of the database
        user_agent = "".join(character for character in user_agent if character.isprintable())
    return RequestFacts(client_ip(request), user_agent)


def client_ip(request: HttpRequest) -> str | None:
    """The peer's address; X-Forwarded-For is read from the right, and only through proxies in CURFEW_TRUSTED_PROXIES."""
    address = _parse(request.META.get("REMOTE_ADDR", ""))
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    while address is not None and hops and _is_trusted(address):
        forwarded = _parse(hops.pop())
        if forwarded is None:
            break
        address = forwarded
    return str(address) if address else None


def _is_trusted(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(address in network for network in _networks(tuple(settings.TRUSTED_PROXIES)))


@functools.cache
def _networks(cidrs: tuple[str, ...]) -> list[Network]:
    return [ipaddress.ip_network(cidr) for cidr in cidrs]


@functools.lru_cache(4096)
def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
