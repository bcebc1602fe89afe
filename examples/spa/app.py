"""Serves the single-page application. Run it as `python -m examples.spa.app`, beside `make run`, after applying tenant.yaml.

SPA_PORT (default 8005) and SPA_ISSUER (default http://localhost:8000/) may be given in the environment. The server only
hands out three files and the settings: signing in, tokens and renewal are all in `static/app.js`.
"""

from __future__ import annotations

import os
from pathlib import Path

from examples.page_server import Site, origin, serve

CLIENT_ID = "Pz4mQbVYQ0yRzH3cVY8aJ5nK2tWd6sXe"


def main() -> None:
    port = int(os.environ.get("SPA_PORT", "8005"))
    issuer = os.environ.get("SPA_ISSUER", "http://localhost:8000/")
    settings = {"issuer": issuer, "client_id": CLIENT_ID}
    serve("Single-page application", port, Site(Path(__file__).parent / "static", settings, [origin(issuer)]))


if __name__ == "__main__":
    main()
