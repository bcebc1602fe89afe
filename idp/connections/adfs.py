"""ADFS speaks several protocols: `protocol` of the connection says which one it is to speak with us."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from idp.connections.oidc.flow import OidcProtocol
from idp.connections.saml.flow import SamlProtocol
from idp.connections.upstream import Account, Departure, RedirectProtocol, UpstreamFault, Wishes
from idp.models import Connection
from idp.protocol.params import Params

DEFAULT = "oidc"
PROTOCOLS: Mapping[str, RedirectProtocol] = {"oidc": OidcProtocol(), "samlp": SamlProtocol()}


class AdfsProtocol:
    def depart(self, connection: Connection, wishes: Wishes, *, state: str, callback: str, at: datetime) -> Departure:
        return _spoken(connection).depart(connection, wishes, state=state, callback=callback, at=at)

    def arrive(
        self, connection: Connection, kept: Mapping[str, Any] | None, answer: Params, *, callback: str, at: datetime
    ) -> Account:
        return _spoken(connection).arrive(connection, kept, answer, callback=callback, at=at)


def _spoken(connection: Connection) -> RedirectProtocol:
    name = connection.options.get("protocol", DEFAULT)
    if name not in PROTOCOLS:
        raise UpstreamFault(f"Nobody can sign in at {connection.name} by the protocol {name}.")
    return PROTOCOLS[name]
