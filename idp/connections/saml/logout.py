"""Single logout (SAML profiles section 4.4): leaving the identity provider, and hearing from it that somebody left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.utils.translation import gettext_noop

from idp.connections.contract import Departure, LogoutSubject, UpstreamFault, UpstreamRefused
from idp.connections.saml import options, refusals, service
from idp.connections.saml.options import BadOptions
from idp.connections.saml.provider import SamlProvider, provider_of
from idp.models import Connection
from idp.protocol.params import Params
from idp.saml import bindings, logout_messages, sending, statuses
from idp.saml.bindings import Arrived
from idp.saml.logout_messages import LogoutNotice
from idp.saml.names import POST
from idp.saml.own_key import own_key
from idp.saml.signed import UnknownSigner
from idp.saml.structure import BadResponse
from idp.saml.xml import Element

SIGNS_OUT = "signs_out"  # in Account.upstream: the identity provider had a sign-out endpoint when the person signed in
_Read = TypeVar("_Read")


class SamlLogout:
    def can_logout(self, connection: Connection, subject: LogoutSubject) -> bool:
        try:
            given = options.read(connection.strategy, connection.options)
        except BadOptions:
            return False
        if given.disable_signout or not subject.upstream.get("name_id"):
            return False
        return bool(given.sign_out_endpoint or subject.upstream.get(SIGNS_OUT))

    def begin_logout(
        self, connection: Connection, subject: LogoutSubject, *, state: str, callback: str, at: datetime
    ) -> Departure:
        """The answer comes to the address in our metadata, not to `callback`."""
        provider = provider_of(connection, at)
        if not provider.logout_binding:
            raise UpstreamFault(f"{connection.name} has no sign-out endpoint for HTTP-Redirect or HTTP-POST")
        name_id = {key: str(value) for key, value in subject.upstream.items()}
        destination = provider.logout[provider.logout_binding]
        issuer = service.entity_id(connection, provider.options)
        request_id, message = logout_messages.logout_request(issuer, destination, name_id, subject.upstream_sid, at)
        return _departure(provider, bindings.REQUEST, message, state, at, flow_data={"request_id": request_id})

    def check_logout(
        self, connection: Connection, flow_data: Mapping[str, Any], query: str, answer: Params, *, at: datetime
    ) -> None:
        def read(provider: SamlProvider, root: Element) -> None:
            logout_messages.check_response(
                root,
                issuer=provider.entity_id,
                destination=service.logout_url(connection),
                request_id=str(flow_data["request_id"]),
                at=at,
            )
            if not statuses.is_success(root):
                refused = refusals.refusal(root, authentic=True)
                raise UpstreamRefused(
                    gettext_noop(gettext_noop("It says that it could not sign you out.")), detail=refused.detail
                )
            if statuses.is_partial(root):
                raise UpstreamRefused(
                    gettext_noop(gettext_noop("It signed you out, but could not tell all of its other applications."))
                )

        _verified(connection, bindings.RESPONSE, query, answer, at, read)


def notice_of(connection: Connection, query: str, params: Params, at: datetime) -> LogoutNotice:
    """Whose session the identity provider says has ended; replay is for the caller to see. Raises UpstreamFault."""

    def read(provider: SamlProvider, root: Element) -> LogoutNotice:
        return logout_messages.read_request(
            root, issuer=provider.entity_id, destination=service.logout_url(connection), at=at
        )

    return _verified(connection, bindings.REQUEST, query, params, at, read)


def reply(connection: Connection, notice: LogoutNotice, relay_state: str, at: datetime) -> Departure:
    """Back to the identity provider, which waits for us to go on. Raises UpstreamFault."""
    provider = provider_of(connection, at)
    binding = provider.logout_binding
    if not binding:
        raise UpstreamFault(f"{connection.name} has no sign-out endpoint for HTTP-Redirect or HTTP-POST")
    destination = provider.logout_replies.get(binding) or provider.logout[binding]
    issuer = service.entity_id(connection, provider.options)
    message = logout_messages.logout_response(issuer, destination, notice.id, at)
    return _departure(provider, bindings.RESPONSE, message, relay_state, at, to=destination)


def _departure(
    provider: SamlProvider,
    name: str,
    message: bytes,
    state: str,
    at: datetime,
    *,
    to: str = "",
    flow_data: Mapping[str, Any] | None = None,
) -> Departure:
    """Always signed: nobody should end a session, or believe that one ended, for an unsigned message."""
    destination, key = to or provider.logout[provider.logout_binding], own_key(at)
    if provider.logout_binding == POST:
        return Departure(destination, sending.post_fields(name, message, state, key), flow_data or {})
    return Departure(sending.redirect_url(destination, name, message, state, key), flow_data=flow_data or {})


def _verified(
    connection: Connection,
    name: str,
    query: str,
    params: Params,
    at: datetime,
    read: Callable[[SamlProvider, Element], _Read],
) -> _Read:
    """With metadata by URL, an unknown signer may be a new key of theirs: then the metadata are read again, once."""
    provider = provider_of(connection, at)
    try:
        message = bindings.arrived(name, query, params)
        try:
            return read(provider, _root(message, provider, at))
        except UnknownSigner:
            renewed = provider_of(connection, at, suspect=True)
            if renewed.certificates == provider.certificates:
                raise
            return read(renewed, _root(message, renewed, at))
    except BadResponse as error:
        raise UpstreamFault(f"The {bindings.ROOTS[name]} of {connection.name} {error}.") from error


def _root(message: Arrived, provider: SamlProvider, at: datetime) -> Element:
    return message.read([certificate for certificate in provider.certificates if certificate.is_valid(at)])
