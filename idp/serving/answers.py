"""Answers as bytes: Django's, and the few that need no Django."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

Django = Callable[[dict[str, Any], Callable[..., Any]], Any]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_WITHOUT_BODY = ("204", "304")


@dataclass(frozen=True, slots=True)
class Form:
    """What the request says about the form of its answer."""

    keep_alive: bool = False
    head_only: bool = False
    version: str = "1.1"


def by_django(django: Django, environ: dict[str, Any], form: Form) -> bytes:
    """The whole answer: a client that reads slowly holds a socket, never a thread. None of ours is long."""
    begun: list[Any] = []
    pieces = django(environ, lambda *line: begun.extend(line))
    try:
        body = b"".join(pieces)
    finally:
        pieces.close()
    return render(begun[0], begun[1], body, form)


def in_json(status: int, document: dict[str, str], form: Form) -> bytes:
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    return render(f"{status} {_REASONS[status]}", headers, json.dumps(document).encode(), form)


def refusal(status: int, reason: str) -> bytes:
    return in_json(status, {"error": "invalid_request", "error_description": reason}, Form())


def render(status: str, headers: list[tuple[str, str]], body: bytes, form: Form) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    if not status.startswith(_WITHOUT_BODY) and not any(name.lower() == "content-length" for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    if not form.keep_alive:
        lines.append("Connection: close")
    elif form.version == "1.0":
        lines.append("Connection: keep-alive")
    lines.append(f"Date: {_date(int(time.time()))}\r\n\r\n")
    head = "\r\n".join(lines).encode("latin-1")
    return head if form.head_only or status.startswith(_WITHOUT_BODY) else head + body


@functools.lru_cache(1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
