"""Telling an application by the browser of the sign-out page: a LogoutRequest that leaves from an address of ours in its frame,
and the LogoutResponse that comes back there. Only a response that the application signed makes its row green.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from idp.models import Application
from idp.protocol.opaque import digest, new_secret
from idp.protocol.params import Params
from idp.saml import bindings, logout_messages, statuses
from idp.saml.application.settings import SamlSettings, logout_url
from idp.saml.names import STATUS
from idp.saml.structure import BadResponse
from logout_app.delivery.channels.registry import ANSWER_US
from logout_app.models import DeliveryState, LogoutDelivery, LogoutTransaction
from logout_app.protocol.retry import printable
from logout_app.protocol.saml.reason import reason
from logout_app.saml import answers
from logout_app.saml.answers import Reply
from logout_app.saml.requests import certificates
from sessions_app.models import FlowState, SamlSubject

KIND = "saml-frame"
LIFETIME = timedelta(minutes=10)


def request(page: LogoutTransaction, application: Application, at: datetime) -> Reply | None:
    """A new request for the session of this page; None where there is nothing to ask."""
    settings = application.usable.saml
    if page.event is None or page.session is None or not settings.logout_url:
        return None
    if not _rows(page.event_id, page.session_id, application.pk).exists():
        return None
    subject = SamlSubject.objects.filter(session=page.session, application=application).first()
    if subject is None:
        return None
    request_id, message = logout_messages.logout_request(
        settings.own_entity_id,
        settings.logout_url,
        subject.as_named,
        subject.session_index,
        at,
        reason=reason(page.event.initiator),
    )
    state = new_secret()
    facts = {"request": request_id, "event": page.event_id, "session": page.session_id, "application": application.pk}
    FlowState.objects.create(kind=KIND, state_hash=digest(state), data=facts, created_at=at, expires_at=at + LIFETIME)
    return answers.carried(settings, bindings.REQUEST, settings.logout_url, message, state, at)


def confirm(application: Application, settings: SamlSettings, query: str, params: Params, at: datetime) -> bool:
    """What the application says of its session, written down. False: it could not, or something is still open there.

    Raises BadResponse for what does not answer a request of ours, or is not signed by the application.
    """
    state = params.get(bindings.STATE, "")
    flow = FlowState.objects.filter(kind=KIND, state_hash=digest(state), expires_at__gt=at).first()
    if flow is None or flow.data["application"] != application.pk:
        raise BadResponse("does not answer a request of ours")
    root = bindings.arrived(bindings.RESPONSE, query, params).read(certificates(settings, at))
    logout_messages.check_response(
        root,
        issuer=settings.entity_id,
        destination=logout_url(application),
        request_id=str(flow.data["request"]),
        at=at,
    )
    codes = statuses.codes(root)
    signed_out = codes[0] == statuses.SUCCESS or statuses.UNKNOWN_PRINCIPAL in codes
    words = printable(" / ".join(code.removeprefix(STATUS) for code in codes))
    outcome = DeliveryState.DELIVERED if signed_out else DeliveryState.DEAD
    open_rows = _rows(flow.data["event"], flow.data["session"], application.pk).exclude(state=DeliveryState.DELIVERED)
    open_rows.update(state=outcome, finished_at=at, last_reason=words)
    return signed_out


def _rows(event_pk: int | None, session_pk: int | None, application_pk: int):  # type: ignore[no-untyped-def]
    return LogoutDelivery.objects.filter(
        event=event_pk, session=session_pk, application=application_pk, channel__in=ANSWER_US
    )
