"""Signing out at an OpenID provider through the browser: RP-Initiated Logout 1.0, or a plain logout URL.

No request of ours is needed for it: where sign-out is was learned when the person signed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.utils.translation import gettext

from idp.connections.contract import Departure, LogoutSubject, UpstreamFault, UpstreamRefused
from idp.connections.oidc import flow
from idp.connections.oidc import options as oidc_options
from idp.connections.oidc.wire import readable
from idp.crypto.sealing import CannotUnseal
from idp.models import Connection, Strategy
from idp.protocol.params import Params
from idp.protocol.text.bidi import isolated

# Characters of an address that leads upstream. ID tokens with hundreds of groups make longer ones, which servers there and
# proxies in front of us refuse: many have room for 4 kB of headers.
LONGEST_ADDRESS = 3000
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
        back = {"post_logout_redirect_uri": callback, "state": state}
        parameters = {**_hints(connection, subject, hint, url), **back}
        if len(address := _with(url, parameters)) <= LONGEST_ADDRESS:
            return Departure(address)
        if oidc_options.of(connection).preset.signs_out_by_post:
            return Departure(url, fields=tuple(parameters.items()))
        return Departure(_with(url, {**_named(connection, subject), **back}))

    def check_logout(
        self, connection: Connection, flow_data: Mapping[str, Any], query: str, answer: Params, *, at: datetime
    ) -> None:
        """The specification knows no proof of a sign-out: coming back with our `state` is all that an upstream says."""
        if error := answer.get("error"):
            said = readable(answer.get("error_description", "")) or readable(error)
            raise UpstreamRefused(
                gettext("%(connection)s says: %(sentence)s")
                % {"connection": isolated(str(connection)), "sentence": isolated(said)}
            )


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
    named = _named(connection, subject)
    return named if hint == "logout_hint" else {"client_id": named["client_id"]}


def _named(connection: Connection, subject: LogoutSubject) -> dict[str, str]:
    """Who asks, and about whom, in few characters."""
    hint = subject.upstream_sid or subject.email or subject.sub
    return {"client_id": oidc_options.of(connection).client_id, "logout_hint": hint}


def _with(url: str, parameters: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(parameters))))))
