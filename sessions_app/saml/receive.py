"""An AuthnRequest arrives: from whom, for where, and whether it may be believed. Where the answer goes is registered, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from idp.models import Application
from idp.protocol.errors import InvalidRequest, NotRegistered
from idp.protocol.params import Params
from idp.saml import bindings
from idp.saml.application.settings import LONGEST_STATE, SamlSettings, consumers, sso_url
from idp.saml.bindings import Arrived
from idp.saml.names import UNSPECIFIED
from idp.saml.structure import BadResponse
from idp.saml.xml import Element
from sessions_app.saml import authn_request
from sessions_app.saml.authn_request import AskedSignOn
from sessions_app.saml.kept import SamlRequest

NAME = "AuthnRequest"


def received(application: Application, settings: SamlSettings, query: str, params: Params, at: datetime) -> SamlRequest:
    """`query`: the raw one of a redirect, "" for a form. Raises InvalidRequest, which is a page: nobody is led anywhere."""
    try:
        message = bindings.arrived(bindings.REQUEST, query, params, root=NAME)
        root, is_proven = _read(message, settings, at)
        asked = authn_request.read(
            root,
            issuer=settings.entity_id,
            destination=sso_url(application),
            must_say_where=is_proven and not query,
            at=at,
        )
    except BadResponse as error:
        raise InvalidRequest(f"The sign-in request of {application.name} {error}.") from error
    return SamlRequest(
        client_id=application.client_id,
        id=asked.id,
        acs=_acs(application, settings, asked),
        relay_state=relay_state(params),
        force=asked.force,
        passive=asked.passive,
        name_id_format=_format(asked, settings),
        context=asked.context,
        is_proven=is_proven,
    )


def unsolicited(application: Application, settings: SamlSettings, params: Params) -> SamlRequest:
    """Nobody asked: only where the application is switched to take it. Raises InvalidRequest."""
    if not settings.idp_initiated:
        raise InvalidRequest(
            f"{application.name} takes only people whom it sent here. Open it, and sign in from there."
        )
    state = relay_state(params) or settings.relay_state
    return SamlRequest(application.client_id, "", _usual(application), state)


def check_still_registered(application: Application, request: SamlRequest) -> None:
    """What was kept for a while goes nowhere that was taken away meanwhile. Raises InvalidRequest."""
    if request.acs not in consumers(application):
        raise InvalidRequest(f"The address of {application.name} has changed. Start again there.")


def relay_state(params: Params) -> str:
    """SAML bindings section 3.4.3 allows 80 bytes; many send more, and it is given back as it came."""
    state = params.get(bindings.STATE, "")
    if len(state) > LONGEST_STATE or "\0" in state:
        raise InvalidRequest(f"RelayState is longer than {LONGEST_STATE} characters, or not text.")
    return state


def _read(message: Arrived, settings: SamlSettings, at: datetime) -> tuple[Element, bool]:
    """The message, and whether it is proven who wrote it. A signature that can be checked must be right, wanted or not."""
    certificates = [certificate for certificate in settings.certificates if certificate.is_valid(at)]
    if settings.wants_signed_requests or (message.is_signed and settings.certificates):
        return message.read(certificates), True
    return message.read_unsigned(), False


def _acs(application: Application, settings: SamlSettings, asked: AskedSignOn) -> str:
    registered = consumers(application)
    if asked.acs:
        if asked.acs not in registered:
            raise NotRegistered(
                "The AssertionConsumerServiceURL is not registered for this application.",
                client_id=application.client_id,
                parameter="AssertionConsumerServiceURL",
                uri=asked.acs,
            )
        return asked.acs
    if asked.acs_index:
        found = settings.acs_indexes.get(asked.acs_index) or _by_place(
            registered, asked.acs_index, settings.acs_indexes
        )
        if found not in registered:
            raise InvalidRequest("The AssertionConsumerServiceIndex is not registered for this application.")
        return found
    return _usual(application)


def _usual(application: Application) -> str:
    if not (registered := consumers(application)):
        raise InvalidRequest(f"{application.name} has no callback that may be used.")
    return registered[0]


def _by_place(registered: tuple[str, ...], index: str, named: Mapping[str, str]) -> str:
    """Where no index was said, the first callback has 0."""
    is_place = not named and index.isascii() and index.isdigit() and len(index) < 4 and int(index) < len(registered)
    return registered[int(index)] if is_place else ""


def _format(asked: AskedSignOn, settings: SamlSettings) -> str:
    """What was asked for; `name_ids` says whether there is one. Another affiliation's names (SAML core section 3.4.1.1) we
    do not have."""
    if asked.sp_name_qualifier not in ("", settings.entity_id):
        return f"of {asked.sp_name_qualifier[:100]}"
    return asked.name_id_format if asked.name_id_format != UNSPECIFIED else ""
