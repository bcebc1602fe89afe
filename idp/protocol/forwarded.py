"""What proxies write about whom they speak for: X-Forwarded-For as it is used, and Forwarded (RFC 7239)."""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PORT = re.compile(r"[0-9]{1,5}|_[A-Za-z0-9._-]+")
_PAIR = re.compile(r'\s*([A-Za-z0-9!#$%&\'*+.^_`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;=]*)\s*')


@dataclass(frozen=True, slots=True)
class Hop:
    """One proxy's word; `address` is None when it says *unknown*, hides it, or cannot be read."""

    address: Address | None
    proto: str = ""


UNREADABLE = (Hop(None),)


@functools.lru_cache(4096)
def address(text: str) -> Address | None:
    """An address, with a zone perhaps; a socket on IPv6 gives those of IPv4 as ::ffff:192.0.2.1, which is the same peer."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if found.version == 6 else found


def node(text: str) -> Address | None:
    """An address that may have a port: `192.0.2.1:51008`, `[2001:db8::1]:443` (section 6); an IPv6 one may lack brackets."""
    text = text.strip()
    if text.startswith("["):
        inside, closed, port = text[1:].partition("]")
        return address(inside) if closed and ":" in inside and _is_port(port) else None
    host, colon, port = text.partition(":")
    if colon and ":" not in port:
        return address(host) if _is_port(colon + port) else None
    return address(text)


def x_forwarded_for(value: str) -> tuple[Hop, ...]:
    """Each proxy appends whom it was asked by: the last is the word of the one that asks us."""
    return tuple(Hop(node(part)) for part in value.split(","))


@functools.lru_cache(1024)
def forwarded(value: str) -> tuple[Hop, ...]:
    """The elements of section 4. One that cannot be read spoils all: whoever wrote it may have swallowed the next by a quote."""
    elements: list[dict[str, str]] = [{}]
    position = 0
    while position < len(value):
        pair = _PAIR.match(value, position)
        if pair is None or pair[1].lower() in elements[-1]:
            return UNREADABLE
        elements[-1][pair[1].lower()] = re.sub(r"\\(.)", r"\1", pair[2][1:-1]) if pair[2][:1] == '"' else pair[2]
        position = pair.end()
        separator = value[position : position + 1]
        if separator == ",":
            elements.append({})
        elif separator not in (";", ""):
            return UNREADABLE
        position += 1
    return tuple(Hop(node(one.get("for", "")), one.get("proto", "").lower()) for one in elements)


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and _PORT.fullmatch(text[1:]) is not None)
