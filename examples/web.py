"""What the examples that are web sites share: requests, responses and a small threaded server on loopback."""

from __future__ import annotations

import hmac
import socketserver
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

LONGEST_BODY = 100_000  # bytes


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    cookies: dict[str, str]
    origin: str
    authorization: str = ""
    query_string: str = ""
    body: str = ""


@dataclass
class Response:
    body: str = ""
    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = "text/html; charset=utf-8"

    def cookie(self, name: str, value: str) -> Response:
        gone = "" if value else "; Max-Age=0"
        self.headers.append(("Set-Cookie", f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{gone}"))
        return self


def redirect(url: str) -> Response:
    return Response(status="303 See Other", headers=[("Location", url)])


def is_same(ours: str, theirs: str) -> bool:
    """Of secrets, in a time that tells nothing of them; what comes may be any text."""
    return hmac.compare_digest(ours.encode(), theirs.encode())


class Site(ABC):
    """A WSGI application; `answer()` is all that a site has to say."""

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """To one request."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = self.answer(_read(environ))
        body = response.body.encode()
        headers = [("Content-Type", response.content_type), ("Content-Length", str(len(body)))]
        start_response(response.status, [*headers, *response.headers])
        return [body]


def serve(site: Site, port: int) -> None:
    """Until the process is stopped, on loopback."""
    with make_server("127.0.0.1", port, site, _Server, _Quiet) as server:
        server.serve_forever()


def _read(environ: dict[str, Any]) -> Request:
    length = min(int(environ.get("CONTENT_LENGTH") or 0), LONGEST_BODY)
    body = environ["wsgi.input"].read(length).decode("utf-8", "replace")
    cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
    query = environ.get("QUERY_STRING", "")
    return Request(
        environ["REQUEST_METHOD"],
        environ.get("PATH_INFO") or "/",
        {name: values[0] for name, values in parse_qs(query).items()},
        {name: values[0] for name, values in parse_qs(body).items()},
        {name: morsel.value for name, morsel in cookies.items()},
        environ.get("HTTP_ORIGIN", ""),
        environ.get("HTTP_AUTHORIZATION", ""),
        query,
        body,
    )


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away while we were hanging is nothing to report."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """The terminal belongs to whoever started us."""
