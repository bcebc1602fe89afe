"""Where outbound requests may go: pure rules that all transports obey.

A URL is judged when it is saved and again when it is used; every address that its name resolves to is judged when it is
dialled. Private ranges open only by the operator's settings, never by an administrator's form.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

from idp.outbound.proxy import Proxy
from idp.protocol.uris import is_plain

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

URL_SYNTAX = re.compile(r"[\x21-\x7e]+")  # urlsplit() drops tabs and newlines silently
HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
LAST_LABEL_OF_A_NUMBER = re.compile(r"(\d+|0[xX][0-9a-fA-F]*)\.?")
DEFAULT_PORTS = {"http": 80, "https": 443}

# What `ipaddress.is_global` of Python 3.11 still calls global, and what no application lives at.
NEVER = tuple(
    ipaddress.ip_network(cidr)
    for cidr in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "168.63.129.16/32",  # the Azure host
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",
    )
)
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # outside: mapped, compatible, NAT64, ULA, link-local, multicast

# What hosts files of the distributions call 127.0.0.1 and ::1, beside every name below localhost.
LOOPBACK = frozenset(
    {"localhost", "localhost.localdomain", "localhost4", "localhost4.localdomain4"}
    | {"localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback"}
)

# Names whose address needs no resolver, so that they are refused when they are saved and not only when they are dialled.
KNOWN = {"metadata.google.internal": "169.254.169.254", "metadata.goog": "169.254.169.254"}

# Ports where something else than HTTP listens, refused in a range; an operator may still name one singly.
NOT_HTTP = frozenset(
    {*range(1, 1024)} - {80, 443}
    | {1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3268, 3269, 3306, 3389, 3659, 4045, 4190}
    | {5060, 5061, 5432, 5672, 5900, 6000, 6379, 6566, *range(6665, 6670), 6679, 6697, 9042, 9092, 10080, 10250}
    | {11211, 27017, 27018, 27019, 50000}
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator's settings, and one application's allow-list, let through."""

    allow: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset()
    port_ranges: tuple[range, ...] = (range(1, 65536),)
    own: frozenset[tuple[str, int]] = frozenset()  # our own (host, port)
    hosts: frozenset[str] = frozenset()  # empty: any
    proxy: Proxy | None = None  # the way that https takes

    def only_to(self, hosts: Iterable[str]) -> Rules:
        """The same rules for an application that has an allow-list of host names."""
        names = frozenset(host.lower().rstrip(".") for host in hosts)
        return replace(self, hosts=names) if names else self


def rules_of(*, allow: Collection[str], ports: Collection[str], own_origin: str, proxy: Proxy | None = None) -> Rules:
    """Rules from settings: CIDRs, ports like `443` or `1024-65535`, our own origin, and the proxy. Raises ValueError."""
    single, ranges = set(), []
    for part in ports:
        first, dash, last = part.partition("-")
        if dash:
            ranges.append(range(int(first), int(last) + 1))
        else:
            single.add(int(first))
    networks = tuple(ipaddress.ip_network(cidr) for cidr in allow)
    return Rules(networks, frozenset(single), tuple(ranges), _own(urlsplit(own_origin)), proxy=proxy)


def _own(origin: SplitResult) -> frozenset[tuple[str, int]]:
    host = origin.hostname or ""
    port = origin.port or DEFAULT_PORTS[origin.scheme]
    names = {host, "localhost", "127.0.0.1", "::1"} if _is_loopback_name(host) else {host}
    return frozenset((name, port) for name in names)


def _is_loopback_name(host: str) -> bool:
    if host in LOOPBACK or host.endswith(".localhost"):
        return True
    address = _literal(host)
    return address is not None and address.is_loopback


def check_url(url: str, rules: Rules) -> str | None:
    """Why no request may go to this URL, or None. Says nothing yet about what its name resolves to."""
    if not URL_SYNTAX.fullmatch(url) or "\\" in url:
        return "contains characters that no URL has"
    try:
        parts = urlsplit(url)
        port = parts.port if parts.port is not None else DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return "is not a URL"
    host = (parts.hostname or "").lower()
    return (
        _check_form(parts, rules)
        or _check_host(host, rules, cleartext=parts.scheme == "http")
        or _check_port(port, rules)
        or ("goes to the proxy's own machine" if _is_proxys_own(parts.scheme, host, rules) else None)
        or ("is this identity provider itself" if (host.rstrip("."), port) in rules.own else None)
    )


def _is_proxys_own(scheme: str, host: str, rules: Rules) -> bool:
    proxy = rules.proxy
    return proxy is not None and proxy.resolves and proxy.serves(scheme, host) and _is_loopback_name(host.rstrip("."))


def _check_form(parts: SplitResult, rules: Rules) -> str | None:
    if parts.scheme not in DEFAULT_PORTS:
        return "must begin with https://"
    if parts.scheme == "http" and not rules.allow:
        return "must be https"
    if "@" in parts.netloc:
        return "must not hold a user name or password"
    if not is_plain(parts):
        return "has no valid host name"
    return "must not have a fragment" if parts.fragment else None


def _check_host(host: str, rules: Rules, *, cleartext: bool) -> str | None:
    if rules.hosts and host.rstrip(".") not in rules.hosts:
        return "is not one of the application's outbound hosts"
    literal = _literal(host)
    if literal is not None:
        return check_address(literal, rules, cleartext=cleartext)
    if reason := _check_known_name(host.rstrip("."), rules, cleartext=cleartext):
        return reason
    if LAST_LABEL_OF_A_NUMBER.fullmatch(host.rpartition(".")[2] or host.rstrip(".").rpartition(".")[2]):
        return "has an ambiguous numeric address"  # 127.1, 2130706433, 0x7f000001: resolvers make loopback of it
    return None if HOST_NAME.fullmatch(host) and len(host) < 254 else "has no valid host name"


def _check_known_name(name: str, rules: Rules, *, cleartext: bool) -> str | None:
    if _is_loopback_name(name):  # every name below localhost, RFC 6761 section 6.3; either address may be the open one
        reasons = [check_address(address, rules, cleartext=cleartext) for address in ("127.0.0.1", "::1")]
        return reasons[0] if all(reasons) else None
    return check_address(KNOWN[name], rules, cleartext=cleartext) if name in KNOWN else None


def _check_port(port: int, rules: Rules) -> str | None:
    if port in rules.ports:
        return None
    if port in NOT_HTTP or not any(port in ports for ports in rules.port_ranges):
        return f"goes to port {port}, which is not allowed"
    return None


def check_address(address: str | Address, rules: Rules, *, cleartext: bool = False) -> str | None:
    """Why this address may not be dialled, or None. `cleartext`: http is for the operator's own networks only."""
    ip = _literal(address) if isinstance(address, str) else address
    if ip is None or getattr(ip, "scope_id", None):
        return "is not a plain IP address"
    if any(ip in network for network in rules.allow):
        return None
    if not is_public(ip):
        return f"goes to {ip}, which is not a public address"
    return f"goes to {ip} without TLS" if cleartext else None


def is_public(ip: Address) -> bool:
    """A unicast address of the internet. Mapped and tunnelled forms of IPv4 are none, whatever they hold."""
    if isinstance(ip, ipaddress.IPv6Address) and ip not in GLOBAL_UNICAST:
        return False
    return ip.is_global and not any(ip in network for network in NEVER)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
