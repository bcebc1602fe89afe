"""Serves the single-page application. Run it as `python -m examples.spa.app`, beside `make run`, after applying tenant.yaml.

SPA_PORT (default 8005) and SPA_ISSUER (default http://localhost:8000/) may be given in the environment. The server only
hands out three files and the settings: signing in, tokens and renewal are all in `static/app.js`.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).parent
CLIENT_ID = "Pz4mQbVYQ0yRzH3cVY8aJ5nK2tWd6sXe"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/app.css": ("app.css", "text/css; charset=utf-8"),
}


class Handler(BaseHTTPRequestHandler):
    issuer = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/settings.json":
            self._send(json.dumps({"issuer": self.issuer, "client_id": CLIENT_ID}), "application/json")
        elif path in FILES:
            name, content_type = FILES[path]
            self._send((HERE / "static" / name).read_text(encoding="utf-8"), content_type)
        else:
            self.send_error(404)

    def _send(self, text: str, content_type: str) -> None:
        provider = self.issuer.rstrip("/")
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {provider}; "
            f"frame-src {provider}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; img-src data:"
        )
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to say for each request: their queries carry codes."""


def main() -> None:
    port = int(os.environ.get("SPA_PORT", "8005"))
    Handler.issuer = os.environ.get("SPA_ISSUER", "http://localhost:8000/")
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"Single-page application: http://localhost:{port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
