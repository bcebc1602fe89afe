"""A request as WSGI gives it to Django (PEP 3333), made of the bytes that arrived."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from django.core.exceptions import RequestDataTooBig

from idp.serving.limits import LONGEST_BODY

Environ = dict[str, Any]
_SAME_FOR_ALL = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Curfew",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}


class NotARequest(Exception):
    """What a client sent is not HTTP as we speak it; `status` answers it."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


@dataclass(slots=True)
class Head:
    """Request line and headers; names in lower case."""

    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    method: str = ""
    version: str = "1.1"
    size: int = 0

    def without_upgrade(self) -> bytes:
        """As it came, but offering no other protocol: we speak one, and whoever offers has to go on in it (RFC 9110 7.8)."""
        lines = [b"%s: %s" % pair for pair in self.headers if pair[0] != b"upgrade"]
        request = b"%s %s HTTP/%s" % (self.method.encode(), self.target, self.version.encode())
        return b"\r\n".join([request, *lines, b"", b""])

    def values(self, wanted: bytes) -> list[bytes]:
        return [value for name, value in self.headers if name == wanted]


def environ_of(head: Head, where: Environ) -> Environ:
    """Text is Latin-1, as WSGI says: one character for each byte, so nothing is lost on the way. `where` says both ends."""
    path, query = _target(head.target)
    environ = {
        **_SAME_FOR_ALL,
        **where,
        "REQUEST_METHOD": head.method,
        "SERVER_PROTOCOL": f"HTTP/{head.version}",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
    }
    _add_headers(environ, head.headers)
    return environ


def with_body(environ: Environ, body: bytes) -> Environ:
    """The length is that of what arrived: a body in chunks announces none, and Django believes no other end."""
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body)) if body else ""
    return environ


def with_too_large_a_body(environ: Environ) -> Environ:
    """The view refuses it, in its own form, without having read it."""
    environ["wsgi.input"] = _NotRead()
    environ["CONTENT_LENGTH"] = str(LONGEST_BODY + 1)
    return environ


class _NotRead(BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise RequestDataTooBig(f"The body has more than {LONGEST_BODY} bytes.")

    readline = read


def _target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request line: a path, or a whole URL as a proxy is asked (RFC 9112 section 3.2)."""
    scheme, found, rest = target.partition(b"://")
    if found and scheme.lower() in (b"http", b"https"):
        start = min((index for index in (rest.find(b"/"), rest.find(b"?")) if index >= 0), default=len(rest))
        target = rest[start:] if rest[start : start + 1] == b"/" else b"/" + rest[start:]
    if not target.startswith(b"/") and target != b"*":
        raise NotARequest("The request line names no path.")
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path, query


def _add_headers(environ: Environ, headers: list[tuple[bytes, bytes]]) -> None:
    cookies = []
    for name, value in headers:
        key = _key(name)
        if key == "HTTP_COOKIE":
            cookies.append(value)
        elif key:
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    if cookies:
        environ["HTTP_COOKIE"] = _cookies(b"; ".join(cookies)).decode("latin-1")


@lru_cache(1000)
def _key(name: bytes) -> str:
    """Empty for a name with an underscore: `X_Forwarded_For` would pass for what only a proxy may say."""
    if b"_" in name:
        return ""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _cookies(header: bytes) -> bytes:
    """Without cookies whose name is not ASCII.

    A name that begins with U+2003 passes a browser's rule for `__Host-`, so a sibling domain may set it; Django would strip
    that character off and take the cookie for ours.
    """
    if header.isascii():
        return header
    return b";".join(pair for pair in header.split(b";") if pair.partition(b"=")[0].isascii())
