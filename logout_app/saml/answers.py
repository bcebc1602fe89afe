"""What the application that asked is answered: whether everybody else has confirmed (SAML core section 3.7.3.2).

Success is said of our own session, which is over; PartialLogout beside it while anybody of it was not reached or did not
confirm. What the outbox still delivers may change that later, and the answer then has left.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.urls import reverse

from idp.models import Application
from idp.protocol.opaque import digest, new_secret
from idp.saml import logout_messages, sending
from idp.saml.application.settings import SamlSettings
from idp.saml.bindings import RESPONSE
from idp.saml.names import REDIRECT
from idp.saml.own_key import own_key
from idp.saml.signing import signed
from logout_app.models import DeliveryState, LogoutDelivery
from sessions_app.models import FlowState

KIND = "saml-answer"
LIFETIME = timedelta(minutes=15)  # a little longer than a sign-out page
SUCCESS = (logout_messages.SUCCESS,)
PARTIAL = (logout_messages.SUCCESS, logout_messages.PARTIAL)
UNKNOWN = ("Requester", "UnknownPrincipal")
Reply = tuple[str, tuple[tuple[str, str], ...]]  # the address, and the fields of a form; none: it is in the address


def keep(application: Application, request_id: str, relay_state: str, event_pks: Collection[int], at: datetime) -> str:
    """The path that answers the request when the browser comes there, by what is known then."""
    reference = new_secret()
    data = {
        "application": application.pk,
        "request": request_id,
        "relay_state": relay_state,
        "events": list(event_pks),
    }
    FlowState.objects.create(
        kind=KIND, state_hash=digest(reference), data=data, created_at=at, expires_at=at + LIFETIME
    )
    return reverse("saml_logout_answer", args=[application.client_id, reference])


def kept(application: Application, reference: str, at: datetime) -> FlowState | None:
    found = FlowState.objects.filter(kind=KIND, state_hash=digest(reference), expires_at__gt=at).first()
    return found if found is not None and found.data["application"] == application.pk else None


def status(application: Application, event_pks: Collection[int]) -> tuple[str, ...]:
    """By what the others of these ends have confirmed until now."""
    others = LogoutDelivery.objects.of_ends().filter(event__in=event_pks).exclude(application=application)
    return PARTIAL if others.exclude(state=DeliveryState.DELIVERED).exists() else SUCCESS


def reply(
    settings: SamlSettings, request_id: str, relay_state: str, codes: tuple[str, ...], at: datetime
) -> Reply | None:
    """By the browser; None where the application named no address for answers."""
    if not settings.logout_reply_url:
        return None
    message = logout_messages.logout_response(
        settings.own_entity_id, settings.logout_reply_url, request_id, at, status=codes
    )
    return carried(settings, RESPONSE, settings.logout_reply_url, message, relay_state, at)


def carried(settings: SamlSettings, name: str, address: str, message: bytes, relay_state: str, at: datetime) -> Reply:
    """A logout message on its way by the browser, signed."""
    key = own_key(at, settings.signing_key)
    if settings.logout_binding == REDIRECT:
        return sending.redirect_url(address, name, message, relay_state, key), ()
    sealed = signed(message, key, settings.signature_algorithm, settings.digest_algorithm)
    return address, sending.post_fields(name, sealed, relay_state, None)


def by_soap(settings: SamlSettings, request_id: str, codes: tuple[str, ...], at: datetime) -> bytes:
    message = logout_messages.logout_response(settings.own_entity_id, "", request_id, at, status=codes)
    return signed(message, own_key(at, settings.signing_key), settings.signature_algorithm, settings.digest_algorithm)
