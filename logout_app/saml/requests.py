"""A LogoutRequest of an application (SAML core section 3.7.1): who sent it, which sessions it means, and what became of them.

It ends only sessions in which this application takes part, of the person whom it names as we named them to it. Needs no cookie.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from idp.crypto.spent import spend
from idp.models import Application
from idp.protocol.errors import InvalidRequest
from idp.protocol.initiators import Initiator
from idp.protocol.params import Params
from idp.saml import bindings, logout_messages, soap, structure, xml
from idp.saml.application.settings import SamlSettings, logout_url
from idp.saml.bindings import check_enveloped
from idp.saml.logout_messages import LogoutNotice
from idp.saml.names import samlp
from idp.saml.structure import BadResponse
from idp.saml.x509 import Certificate
from idp.saml.xml import Unreadable
from logout_app.ending.end import Ended, Selection, end_sessions
from logout_app.ending.rows import Planned
from logout_app.models import IN_FRAMES, DeliveryState, LogoutDelivery
from sessions_app.models import SamlSubject

SPENT = "saml-logout-request"
ASKED = "it asked for this sign-out"


@dataclass(frozen=True, slots=True)
class Meant:
    """The sessions that a request names and that live; `known`: whether it names any that there ever were."""

    session_pks: tuple[int, ...]
    known: bool


def by_browser(
    application: Application, settings: SamlSettings, query: str, params: Params, at: datetime
) -> LogoutNotice:
    """By redirect (`query`) or form; signed, or nothing. Raises InvalidRequest."""
    try:
        root = bindings.arrived(bindings.REQUEST, query, params).read(certificates(settings, at))
        return logout_messages.read_request(root, issuer=settings.entity_id, destination=logout_url(application), at=at)
    except BadResponse as error:
        raise InvalidRequest(f"The logout request of {application.name} {error}.") from error


def by_soap(application: Application, settings: SamlSettings, body: bytes, at: datetime) -> LogoutNotice:
    """The same in a SOAP envelope. Raises InvalidRequest."""
    try:
        data = soap.opened(body)
        root = xml.parse_message(data)
        if root.tag != samlp("LogoutRequest") or root.get("Version") != "2.0":
            raise BadResponse("is not a LogoutRequest")
        structure.check_document(root)
        check_enveloped(root, data, certificates(settings, at))
        return logout_messages.read_request(
            root, issuer=settings.entity_id, destination=logout_url(application), at=at, by_soap=True
        )
    except (BadResponse, Unreadable) as error:
        raise InvalidRequest(f"The logout request of {application.name} {error}.") from error


def certificates(settings: SamlSettings, at: datetime) -> list[Certificate]:
    return [certificate for certificate in settings.certificates if certificate.is_valid(at)]


def meant(application: Application, notice: LogoutNotice) -> Meant:
    """No index means all sessions of that name (SAML core section 3.7.3.2)."""
    rows = SamlSubject.objects.filter(application=application, name_id=notice.name_id)
    if notice.indexes:
        rows = rows.filter(session_index__in=notice.indexes)
    taking_part = rows.filter(
        session__isnull=False, session__ended_at=None, session__clients__application=application
    ).values_list("session", flat=True)
    return Meant(tuple(taking_part), rows.exists())


def use(application: Application, notice: LogoutNotice) -> None:
    """In the transaction of what it asks for. Raises InvalidRequest if it was used before."""
    if not spend(SPENT, application.client_id, notice.mark, expires_at=notice.expires_at):
        raise InvalidRequest("This logout request was used before.")


def end(application: Application, notice: LogoutNotice, pks: tuple[int, ...], at: datetime) -> Ended:
    """All of these at once, without a page."""
    with transaction.atomic():
        use(application, notice)
        return end_unasked(application, pks, at)


def end_unasked(application: Application, pks: tuple[int, ...], at: datetime) -> Ended:
    """For a request that was used; in a transaction."""
    if not pks:
        return Ended(None, [])
    ended = end_sessions(
        Selection.sessions(pks),
        initiator=Initiator.RP_LOGOUT,
        actor=f"app:{application.client_id}",
        at=at,
        offline_tokens=False,
    )
    return Ended(ended.event, ended.session_pks, settle(ended, application, at))


def settle(ended: Ended, asker: Application, at: datetime) -> Planned:
    """Whoever asked has signed the person out itself, and waits for an answer: it is not told. What is left to tell."""
    if ended.event is None:
        return ended.told
    rows = LogoutDelivery.objects.filter(event=ended.event, application=asker)
    channels = list(rows.filter(state=DeliveryState.PENDING).values_list("channel", flat=True))
    rows.update(state=DeliveryState.DELIVERED, finished_at=at, last_reason=ASKED)
    frames = sum(channel in IN_FRAMES for channel in channels)
    return Planned(ended.told.deliveries - len(channels), ended.told.frames - frames)
