"""Serves the single-logout page. Run it as `python -m examples.logout_app.app`, beside `make run`, after applying tenant.yaml.

LOGOUT_APP_PORT (default 8004) and LOGOUT_APP_ISSUER (default http://localhost:8000/) may be given in the environment.
The map of applications and their logout URLs is this application's own knowledge: `clients()`.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).parent
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/app.css": ("app.css", "text/css; charset=utf-8"),
}
SECONDS = 5  # that an application may take to sign out


def clients(port: int) -> dict[str, dict[str, str]]:
    """client_id -> name and logout URL of the applications whose logout page is known here; the demo's, by default."""
    return {
        "ATqGIGvsX5d9AWiOypgPOEBGkOVbrf55": {
            "name": "JWT Debugger",
            "logout_url": f"http://localhost:{port + 1}/logout",
        },
        "bOFty3tWgpijnwMcltysNFqHgO1ziz1I": {
            "name": "SharePoint Intranet",
            "logout_url": f"http://localhost:{port + 2}/logout",
        },
        "h2NE1kxhzzFgLpNBvcCuyefjfwFVGx49": {
            "name": "Timesheet SaaS",
            "logout_url": f"http://localhost:{port + 3}/logout",
        },
    }


class Handler(BaseHTTPRequestHandler):
    issuer = ""
    settings: dict[str, Any] = {}

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/settings.json":
            self._send(json.dumps(self.settings), "application/json")
        elif path in FILES:
            name, content_type = FILES[path]
            self._send((HERE / "static" / name).read_text(encoding="utf-8"), content_type)
        else:
            self.send_error(404)

    def _send(self, text: str, content_type: str) -> None:
        origins = {
            "{0.scheme}://{0.netloc}".format(urlsplit(c["logout_url"])) for c in self.settings["clients"].values()
        }
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {self.issuer.rstrip('/')}; "
            f"frame-src {' '.join(sorted(origins))}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; img-src data:"
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
        """Nothing to say for each request."""


def main() -> None:
    port = int(os.environ.get("LOGOUT_APP_PORT", "8004"))
    Handler.issuer = os.environ.get("LOGOUT_APP_ISSUER", "http://localhost:8000/")
    known = clients(urlsplit(Handler.issuer).port or 443)
    Handler.settings = {"issuer": Handler.issuer, "clients": known, "seconds": SECONDS}
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"Single-logout application: http://localhost:{port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
