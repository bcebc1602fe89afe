"""Facts of one request that sessions, tokens and the audit trail keep, and whose word about them is believed."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from idp.protocol.forwarded import UNREADABLE, Address, Hop, address, forwarded, x_forwarded_for

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ADMIN = "/admin/"
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """Where a request came from; `ip` is None when it is not known (`client_ip`)."""

    ip: str | None = None
    user_agent: str = ""


def facts(request: HttpRequest) -> RequestFacts:
    user_agent = request.headers.get("User-Agent", "")[:500]
    if not user_agent.isprintable():  # NUL and lone surrogates would be an error of the database
        user_agent = "".join(character for character in user_agent if character.isprintable())
    return RequestFacts(client_ip(request), user_agent)


def client_ip(request: HttpRequest) -> str | None:
    """The peer's address; through proxies in CURFEW_TRUSTED_PROXIES the last one that they name and that is none of them.

    None when it is not known: the peer has no address, or a proxy of ours says of somebody what cannot be read. Allow-lists
    refuse None, and limits count all of it as one; it is never taken for the proxy.
    """
    found = address(request.META.get("REMOTE_ADDR", ""))
    hops = list(_hops(request)) if found is not None and _is_trusted(found) else []
    while hops and found is not None and _is_trusted(found):
        found = hops.pop().address
    return str(found) if found else None


def _hops(request: HttpRequest) -> tuple[Hop, ...]:
    """Of CURFEW_FORWARDED_HEADER. A proxy that sends the other one only is not understood, rather than taken for the client."""
    headers = request.headers
    if settings.FORWARDED_HEADER in headers:
        read = forwarded if settings.FORWARDED_HEADER == "Forwarded" else x_forwarded_for
        return read(headers[settings.FORWARDED_HEADER])
    return UNREADABLE if {"X-Forwarded-For", "Forwarded"} & headers.keys() else ()


def is_from_trusted_proxy(request: HttpRequest) -> bool:
    peer = address(request.META.get("REMOTE_ADDR", ""))
    return peer is not None and _is_trusted(peer)


class ForwardedMiddleware:
    """X-Forwarded-Proto is dropped unless a proxy in CURFEW_TRUSTED_PROXIES sends it: Django would believe everybody."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        said = request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        if is_from_trusted_proxy(request):
            if settings.FORWARDED_HEADER == "Forwarded":
                hops = _hops(request)
                said = hops[-1].proto if hops else None
            if said:
                request.META["HTTP_X_FORWARDED_PROTO"] = said
        return self.get_response(request)


class AdminNetworksMiddleware:
    """Who does not come from CURFEW_ADMIN_NETWORKS finds no admin: not its pages, and not that one has to sign in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.ADMIN_NETWORKS and request.path_info.startswith(ADMIN):
            client = address(client_ip(request) or "")
            if client is None or not _is_in(client, settings.ADMIN_NETWORKS):
                raise Http404
        return self.get_response(request)


def _is_trusted(peer: Address) -> bool:
    return _is_in(peer, settings.TRUSTED_PROXIES)


def _is_in(peer: Address, cidrs: Iterable[str]) -> bool:
    return any(peer in network for network in _networks(tuple(cidrs)))


@functools.cache
def _networks(cidrs: tuple[str, ...]) -> list[Network]:
    return [plain(ipaddress.ip_network(cidr)) for cidr in cidrs]


def plain(network: Network) -> Network:
    """IPv4 networks may be written as IPv6; addresses are compared as what they are."""
    if network.version == 6 and network.subnet_of(_MAPPED):
        return ipaddress.ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network
