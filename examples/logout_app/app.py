"""Serves the single-logout page. Run it as `python -m examples.logout_app.app`, beside `make run`, after applying tenant.yaml.

LOGOUT_APP_PORT (default 8006) and LOGOUT_APP_ISSUER (default http://localhost:8000/) may be given in the environment.
The map of applications and their logout URLs is this application's own knowledge: `clients()`.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from examples.page_server import Site, origin, serve

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


def main() -> None:
    port = int(os.environ.get("LOGOUT_APP_PORT", "8006"))
    issuer = os.environ.get("LOGOUT_APP_ISSUER", "http://localhost:8000/")
    known = clients(urlsplit(issuer).port or 443)
    settings = {"issuer": issuer, "clients": known, "seconds": SECONDS}
    framed = {origin(client["logout_url"]) for client in known.values()}
    serve("Single-logout application", port, Site(Path(__file__).parent / "static", settings, framed))


if __name__ == "__main__":
    main()
