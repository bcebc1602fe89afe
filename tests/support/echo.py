"""A WSGI application that says what it was asked, for tests of the web server that need no Django."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from idp.http.serving.application import AsgiApplication
from tests.support.wire import MEGABYTES

RELEASED = threading.Event()


class Echo(list[bytes]):
    def __init__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
        path = environ["PATH_INFO"]
        if path == "/wait":
            RELEASED.wait(float(environ["QUERY_STRING"] or 60))
        elif path == "/release":
            RELEASED.set()
        if path == "/fails":
            raise RuntimeError("as asked")
        body = b"x" * MEGABYTES if path == "/large" else _said(environ)
        start_response("200 OK", [("Content-Type", "application/json")])
        super().__init__([body])

    def close(self) -> None:
        """As PEP 3333 has it."""


def _said(environ: dict[str, Any]) -> bytes:
    said = dict(_plain(environ))
    if environ["CONTENT_LENGTH"]:
        said["body"] = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode("latin-1")
    return json.dumps(said).encode()


def _plain(environ: dict[str, Any]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in environ.items() if isinstance(value, str))


application = AsgiApplication(Echo, int(os.environ["ECHO_THREADS"]))
