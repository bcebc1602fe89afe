"""SAML single logout (SAML profiles section 4.4): a LogoutRequest by SOAP where the application offers it, else by the browser
that shows the sign-out page.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from django.utils import timezone

from idp.models import Application, User
from idp.saml import logout_messages, soap
from idp.saml.application.settings import SamlSettings, logout_url
from idp.saml.own_key import OwnKey, own_key
from idp.saml.signing import signed
from idp.tenants.configuration import Snapshot
from logout_app.delivery.channels.base import DeliveryChannel, Dispatch, Hearing, Message, NothingToTell, Route
from logout_app.delivery.outbox import Claimed
from logout_app.models import Channel, DeliveryState
from logout_app.protocol import retry, silence
from logout_app.protocol.saml import answer as saml_answer
from logout_app.protocol.saml.answer import ExpectedAnswer
from logout_app.protocol.saml.reason import reason
from sessions_app.models import SamlSubject, SessionClient, SSOSession

SOAP_FIELD, BROWSER_FIELD = "saml_soap_logout_uri", "saml_logout_uri"
FRAMES = f"""
SELECT {{event}}, session.id, application.id, '', application.client_id, person.user_id, session.sid,
    '{Channel.SAML_BROWSER}', '{DeliveryState.PENDING}', %(at)s, %(at)s, 0, 0, '', NULL
FROM {SessionClient._meta.db_table} joined
JOIN {SSOSession._meta.db_table} session ON session.id = joined.session_id
JOIN {User._meta.db_table} person ON person.id = session.user_id
JOIN {Application._meta.db_table} application ON application.id = joined.application_id
WHERE joined.session_id {{among}} AND joined.session_id = %(page)s AND application.{BROWSER_FIELD} <> ''
    AND application.{SOAP_FIELD} = '' AND application.enabled"""  # noqa: S608  constants only


def _route(row: Claimed, snapshot: Snapshot) -> Route:
    """One statement for each delivery: whom the application knows the person as is a fact of their session."""
    application = None if row.application_id is None else snapshot.application_by_pk(row.application_id)
    if application is None:
        raise NothingToTell("the application was deleted")
    if not application.enabled:
        raise NothingToTell("the application is disabled")
    settings = application.usable.saml
    if not settings.soap_logout_url:
        raise NothingToTell("the application has no logout URL for SOAP that may be used")
    subject = SamlSubject.objects.filter(sid=row.sid, application=application.pk).first()
    if subject is None:
        raise NothingToTell("the application took part in the session, but not by SAML")
    return Route(
        settings.soap_logout_url,
        None,
        partial(_request, settings, logout_url(application), subject, own_key(timezone.now(), settings.signing_key)),
    )


def _request(
    settings: SamlSettings, answers_go_to: str, subject: SamlSubject, key: OwnKey, row: Claimed, at: datetime
) -> Message:
    request_id, message = logout_messages.logout_request(
        settings.own_entity_id,
        settings.soap_logout_url,
        subject.as_named,
        subject.session_index,
        at,
        reason=reason(row.initiator),
    )
    sealed = signed(message, key, settings.signature_algorithm, settings.digest_algorithm)
    expected = ExpectedAnswer(request_id, settings.entity_id, answers_go_to)
    return Message(soap.envelope(sealed), soap.HEADERS, request_id, partial(saml_answer.decide, expected=expected))


SAML_SOAP = DeliveryChannel(
    Channel.SAML_SOAP, "SAML by SOAP", Hearing(SOAP_FIELD), dispatch=Dispatch(_route, retry.decide)
)
SAML_BROWSER = DeliveryChannel(
    Channel.SAML_BROWSER,
    "SAML by the browser",
    Hearing(
        BROWSER_FIELD,
        also=f"joined.session_id = %(page)s AND application.{SOAP_FIELD} = ''",
        also_in_python=lambda application, _: not getattr(application, SOAP_FIELD),
        silent=f"'{silence.NO_BROWSER_FOR_SAML}'",
        silent_in_python=lambda _: silence.NO_BROWSER_FOR_SAML,
    ),
    FRAMES,
    on=lambda occasion: occasion.page,
    in_browser=True,
    answers_us=True,
)
