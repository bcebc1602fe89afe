"""Signing out at ADFS by WS-Federation (`wsignout1.0`), whichever protocol people signed in by: it tells every relying party.

Chosen by the option `logout: {hint: wsfed}`. The protocol has no proof of a sign-out: coming back is all that it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from idp.connections.contract import Departure, LogoutSubject, UpstreamFault
from idp.connections.oidc.options import url_problem
from idp.connections.oidc.presets import adfs_host
from idp.models import Connection
from idp.protocol.params import Params

HINT = "wsfed"
SIGN_OUT, CLEAN_UP = "wsignout1.0", "wsignoutcleanup1.0"


def is_chosen(options: Mapping[str, Any]) -> bool:
    given = options.get("logout")
    return isinstance(given, Mapping) and given.get("hint") == HINT


def endpoint(options: Mapping[str, Any]) -> str:
    """The connection's own `logout.url`, else where ADFS has it; "" if neither is known."""
    url = str(options["logout"].get("url") or "")
    server = str(options.get("adfs_server") or "")
    return url or (f"https://{adfs_host(server)}/adfs/ls/" if server else "")


def is_there(options: Mapping[str, Any], url: str) -> bool:
    """Whether the URL is of the server where people sign out: the only place that a clean-up may send the browser to."""
    if url_problem(url):
        return False
    ours, theirs = urlsplit(endpoint(options)), urlsplit(url)
    return bool(ours.netloc) and (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)


class WsFedLogout:
    def can_logout(self, connection: Connection, subject: LogoutSubject) -> bool:
        return bool(endpoint(connection.options))

    def begin_logout(
        self, connection: Connection, subject: LogoutSubject, *, state: str, callback: str, at: datetime
    ) -> Departure:
        url = endpoint(connection.options)
        if reason := url_problem(url):
            raise UpstreamFault(f"The sign-out address of {connection.name} cannot be used: {reason}.")
        wreply = f"{callback}?{urlencode({'state': state})}"
        return Departure(f"{url}{'&' if '?' in url else '?'}{urlencode({'wa': SIGN_OUT, 'wreply': wreply})}")

    def check_logout(
        self, connection: Connection, flow_data: Mapping[str, Any], query: str, answer: Params, *, at: datetime
    ) -> None:
        """Nothing to check: the browser came back with our `state`."""
