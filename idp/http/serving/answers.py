"""Answers as ASGI sends them: Django's, and the few that need no Django."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Django = Callable[[dict[str, Any], Callable[..., Any]], Any]
CLOSE = (b"connection", b"close")  # where what the client still sends would pass for its next request


@dataclass(frozen=True, slots=True)
class WsgiAnswer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def by_django(django: Django, environ: dict[str, Any]) -> WsgiAnswer:
    """The whole answer: a client that reads slowly holds a socket, never a thread. None of ours is long."""
    begun: list[Any] = []
    pieces = django(environ, lambda *line: begun.extend(line))
    try:
        body = b"".join(pieces)
    finally:
        pieces.close()
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in begun[1]]
    return WsgiAnswer(int(begun[0][:3]), headers, body)


def in_json(status: int, document: dict[str, str], *more: tuple[bytes, bytes]) -> WsgiAnswer:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), *more]
    return WsgiAnswer(status, headers, json.dumps(document).encode())


def refusal(status: int, reason: str) -> WsgiAnswer:
    return in_json(status, {"error": "invalid_request", "error_description": reason}, CLOSE)
