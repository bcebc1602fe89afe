"""A request as WSGI gives it to Django (PEP 3333), made of the bytes that ASGI has."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from django.core.exceptions import RequestDataTooBig

from idp.http.serving.limits import LONGEST_BODY, LONGEST_HEAD, MOST_HEADERS

Environ = dict[str, Any]
_PROTOCOLS = {"1": "HTTP/1.0", "1.0": "HTTP/1.0"}
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


def environ_of(scope: Mapping[str, Any]) -> Environ:
    """Text is Latin-1, as WSGI says: one character for each byte, so nothing is lost on the way."""
    environ = {
        **_SAME_FOR_ALL,
        "REQUEST_METHOD": scope["method"],
        "SERVER_PROTOCOL": _PROTOCOLS.get(scope["http_version"], "HTTP/1.1"),
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "SERVER_NAME": scope["server"][0],
        "SERVER_PORT": str(scope["server"][1]),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(),
        "CONTENT_LENGTH": "",
    }
    _add_headers(environ, scope["headers"])
    return environ


def refuse(scope: Mapping[str, Any]) -> tuple[int, str] | None:
    """Status and reason for a request that we do not read, though it is well-formed HTTP."""
    sizes = [len(name) + len(value) for name, value in scope["headers"]]
    if len(sizes) > MOST_HEADERS or sum(sizes) + len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_HEAD:
        return 431, "The address and the headers of the request are too long."
    if scope["method"] == "CONNECT":
        return 400, "This is no proxy."
    codings = [value.strip().lower() for name, value in scope["headers"] if name == b"transfer-encoding"]
    if codings not in ([], [b"chunked"]):
        return 501, "The only transfer coding here is chunked, once."
    return None


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


def _add_headers(environ: Environ, headers: Sequence[tuple[bytes, bytes]]) -> None:
    cookies = []
    for name, value in headers:
        key = _key(name)
        if key == "HTTP_COOKIE":
            cookies.append(value)
        elif key and key != "CONTENT_LENGTH":  # that of what arrived
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
