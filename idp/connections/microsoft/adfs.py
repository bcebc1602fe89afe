"""ADFS speaks several protocols: `protocol` of the connection says which one it is to speak with us."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from idp.connections.contract import (
    Account,
    Departure,
    LogoutProtocol,
    LogoutSubject,
    RedirectProtocol,
    SignInRequest,
    UpstreamFault,
)
from idp.connections.dialects import OIDC, SAML, dialect
from idp.connections.microsoft import wsfed
from idp.connections.microsoft.wsfed import WsFedLogout
from idp.connections.oidc.flow import OidcProtocol
from idp.connections.oidc.logout import OidcLogout
from idp.connections.saml.flow import SamlProtocol
from idp.connections.saml.logout import SamlLogout
from idp.models import Connection
from idp.protocol.params import Params

PROTOCOLS: Mapping[str, RedirectProtocol] = {OIDC: OidcProtocol(), SAML: SamlProtocol()}
LOGOUTS: Mapping[str, LogoutProtocol] = {OIDC: OidcLogout(), SAML: SamlLogout(), wsfed.HINT: WsFedLogout()}


class AdfsProtocol:
    def depart(
        self, connection: Connection, asked: SignInRequest, *, state: str, callback: str, at: datetime
    ) -> Departure:
        return _spoken(connection).depart(connection, asked, state=state, callback=callback, at=at)

    def arrive(
        self,
        connection: Connection,
        flow_data: Mapping[str, Any] | None,
        answer: Params,
        *,
        callback: str,
        at: datetime,
    ) -> Account:
        return _spoken(connection).arrive(connection, flow_data, answer, callback=callback, at=at)


class AdfsLogout:
    def can_logout(self, connection: Connection, subject: LogoutSubject) -> bool:
        protocol = LOGOUTS.get(_way_out(connection))
        return protocol is not None and protocol.can_logout(connection, subject)

    def begin_logout(
        self, connection: Connection, subject: LogoutSubject, *, state: str, callback: str, at: datetime
    ) -> Departure:
        return LOGOUTS[_way_out(connection)].begin_logout(connection, subject, state=state, callback=callback, at=at)

    def check_logout(
        self, connection: Connection, flow_data: Mapping[str, Any], query: str, answer: Params, *, at: datetime
    ) -> None:
        LOGOUTS[_way_out(connection)].check_logout(connection, flow_data, query, answer, at=at)


def _spoken(connection: Connection) -> RedirectProtocol:
    name = _name(connection)
    if name not in PROTOCOLS:
        raise UpstreamFault(f"Nobody can sign in at {connection.name} by the protocol {name}.")
    return PROTOCOLS[name]


def _way_out(connection: Connection) -> str:
    return wsfed.HINT if wsfed.is_chosen(connection.options) else _name(connection)


def _name(connection: Connection) -> str:
    return dialect(connection.strategy, connection.options)
