"""Sites for a browser beside the provider's own: an empty page on any name under localhost, and certificates."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


@contextlib.contextmanager
def empty_site() -> Iterator[int]:
    """The same empty page for every host and path, where tests bring the script; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def certificate_for(host: str, folder: Path) -> tuple[Path, Path]:
    """Chain and key, as files, from an authority that nobody trusts."""
    issued = trustme.CA().issue_cert(host)
    chain, key = folder / "chain.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(chain))
    issued.private_key_pem.write_to_path(str(key))
    return chain, key


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A page</title><body></body>")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
