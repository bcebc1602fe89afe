"""A document that somebody publishes at an address on loopback, and changes, withholds or delays as a test says."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Published:
    """Context manager; `asked` counts the requests."""

    def __init__(self, document: str = "", status: int = 200) -> None:
        self.document, self.status, self.delay, self.asked = document, status, 0.0, 0

    def __enter__(self) -> Published:
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page.asked += 1
                time.sleep(page.delay)
                body = page.document.encode()
                self.send_response(page.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/metadata"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
