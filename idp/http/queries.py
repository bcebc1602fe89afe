"""What `urllib.parse.urlencode` writes, in a fraction of its time: that one looks at every character by itself, and an
authorization request that waits behind a login page is a long value."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote_plus

_AS_THEY_ARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")  # RFC 3986 section 2.3


def encoded(pairs: Iterable[tuple[str, str]], safe: str = "") -> str:
    """`name=value&…` as form data; the characters of `safe` (ASCII) stay in names and values as they are."""
    escapes = _escapes(safe)
    return "&".join([f"{_escaped(name, safe, escapes)}={_escaped(value, safe, escapes)}" for name, value in pairs])


def _escaped(text: str, safe: str, escapes: dict[int, str]) -> str:
    return text.translate(escapes) if text.isascii() else quote_plus(text, safe)


@lru_cache(16)
def _escapes(safe: str) -> dict[int, str]:
    kept = _AS_THEY_ARE | set(safe)
    escapes = {code: f"%{code:02X}" for code in range(128) if chr(code) not in kept}
    return escapes if " " in safe else escapes | {ord(" "): "+"}
