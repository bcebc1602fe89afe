"""Facts of one request that sessions, tokens and the audit trail keep, and whose word about them is believed."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ADMIN = "/admin/"
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


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


class ForwardedMiddleware:
    """X-Forwarded-Proto is dropped unless a proxy in CURFEW_TRUSTED_PROXIES sends it: Django would believe everybody."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_X_FORWARDED_PROTO" in request.META:
            peer = _parse(request.META.get("REMOTE_ADDR", ""))
            if peer is None or not _is_trusted(peer):
                del request.META["HTTP_X_FORWARDED_PROTO"]
        return self.get_response(request)


class AdminNetworksMiddleware:
    """Who does not come from CURFEW_ADMIN_NETWORKS finds no admin: not its pages, and not that one has to sign in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.ADMIN_NETWORKS and request.path_info.startswith(ADMIN):
            address = _parse(client_ip(request) or "")
            if address is None or not _is_in(address, settings.ADMIN_NETWORKS):
                raise Http404
        return self.get_response(request)


def _is_trusted(address: Address) -> bool:
    return _is_in(address, settings.TRUSTED_PROXIES)


def _is_in(address: Address, cidrs: Iterable[str]) -> bool:
    return any(address in network for network in _networks(tuple(cidrs)))


@functools.cache
def _networks(cidrs: tuple[str, ...]) -> list[Network]:
    return [plain(ipaddress.ip_network(cidr)) for cidr in cidrs]


def plain(network: Network) -> Network:
    """IPv4 networks may be written as IPv6; addresses are compared as what they are."""
    if network.version == 6 and network.subnet_of(_MAPPED):
        return ipaddress.ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


@functools.lru_cache(4096)
def _parse(text: str) -> Address | None:
    """An address; a socket that listens on IPv6 gives those of IPv4 as ::ffff:192.0.2.1, which is the same peer."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if address.version == 6 else address
