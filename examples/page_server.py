"""Serves a page with its script and style, and the settings that the script asks for; all else happens in the browser."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/app.css": ("app.css", "text/css; charset=utf-8"),
}


@dataclass(frozen=True, slots=True)
class Site:
    """`folder` holds FILES; `settings` is what /settings.json answers; `framed` are the origins that the page may frame."""

    folder: Path
    settings: dict[str, Any]
    framed: Iterable[str]

    @property
    def policy(self) -> str:
        provider = origin(self.settings["issuer"])
        return (
            f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {provider}; "
            f"frame-src {' '.join(sorted(self.framed))}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
            "img-src data:"
        )


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/settings.json":
            self._send(json.dumps(self.site.settings), "application/json")
        elif path in FILES:
            name, content_type = FILES[path]
            self._send((self.site.folder / name).read_text(encoding="utf-8"), content_type)
        else:
            self.send_error(404)

    def _send(self, text: str, content_type: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", self.site.policy)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to say for each request: their queries may carry codes."""


def serve(name: str, port: int, site: Site) -> None:
    """Until the process is stopped, on loopback."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"{name}: http://localhost:{port}/", flush=True)
        server.serve_forever()


def origin(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))
