"""Signing out at an OpenID provider through the browser: RP-Initiated Logout 1.0, or a plain logout URL.

No request of ours is needed for it: where sign-out is was learned when the person signed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from idp.connections.contract import Departure, LogoutSubject, UpstreamFault, UpstreamRefused
from idp.connections.oidc import client, flow
from idp.connections.oidc import options as oidc_options
from idp.crypto.sealing import CannotUnseal
from idp.models import Connection, Strategy
from idp.protocol.params import Params

HINTS = ("id_token_hint", "client_id", "logout_hint", "none")


class OidcLogout:
    """The strategies of the OpenID Connect family."""

    def can_logout(self, connection: Connection, subject: LogoutSubject) -> bool:
        return bool(_endpoint(connection, subject))

    def begin_logout(
        self, connection: Connection, subject: LogoutSubject, *, state: str, callback: str, at: datetime
    ) -> Departure:
        url = _endpoint(connection, subject)
        if reason := oidc_options.url_problem(url):
            raise UpstreamFault(f"The sign-out address of {connection.name} cannot be used: {reason}.")
        hint = _hint(connection)
        if hint == "none":
            return Departure(url)
        parameters = {**_hints(connection, subject, hint, url), "post_logout_redirect_uri": callback, "state": state}
        return Departure(_with(url, parameters))

    def check_logout(
        self, connection: Connection, flow_data: Mapping[str, Any], query: str, answer: Params, *, at: datetime
    ) -> None:
        """The specification knows no proof of a sign-out: coming back with our `state` is all that an upstream says."""
        if error := answer.get("error"):
            said = client.readable(answer.get("error_description", "")) or client.readable(error)
            raise UpstreamRefused(f"{connection} says: {said}")


def _endpoint(connection: Connection, subject: LogoutSubject) -> str:
    return oidc_options.sign_out_url(connection, str(subject.upstream.get("end_session_endpoint") or ""))


def _hint(connection: Connection) -> str:
    given = connection.options.get("logout")
    chosen = given.get("hint") if isinstance(given, Mapping) else None
    return chosen if chosen in HINTS else "none" if connection.strategy == Strategy.GOOGLE else "id_token_hint"


def _hints(connection: Connection, subject: LogoutSubject, hint: str, url: str) -> dict[str, str]:
    """By what the upstream knows whose session it is. Without an ID token of ours `client_id` says who asks."""
    if hint == "id_token_hint":
        try:
            if token := flow.id_token_hint(connection, subject.upstream, url):
                return {"id_token_hint": token}
        except CannotUnseal as error:
            raise UpstreamFault(f"The ID token of {connection.name} cannot be read any more: {error}") from error
    named = {"client_id": oidc_options.of(connection).client_id}
    if hint == "logout_hint":
        named["logout_hint"] = subject.upstream_sid or subject.email or subject.sub
    return named


def _with(url: str, parameters: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(parameters))))))
