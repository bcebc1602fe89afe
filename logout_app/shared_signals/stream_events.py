"""Events about the stream itself (Shared Signals Framework 1.0 sections 8.1.4 and 8.1.5): it works, or its state changed."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from idp.crypto import spent
from idp.protocol.signal_events import OLDER, STREAM, STREAM_UPDATED, VERIFICATION
from logout_app.models import SignalStream
from logout_app.protocol.shared_signals.streams import STATUSES, read_status
from logout_app.protocol.shared_signals.tokens import RefusedSignal, SecurityEvent
from logout_app.shared_signals.trust import SignalTrust
from sessions_app.audit import trail
from sessions_app.audit.events import EventType

SPENT = "signal-stream"


def kind_of(event: SecurityEvent) -> str:
    """The type of an event about the stream, "" for one about somebody."""
    if event.type in OLDER:
        return OLDER[event.type]
    return event.type if event.type.startswith(STREAM) else ""


def take(event: SecurityEvent, believed: SignalTrust, at: datetime) -> None:
    """Once. Without a stream of ours, which is configured by hand at the transmitter, there is nothing to write."""
    stream = believed.stream
    _check_subject(event, stream)
    if stream is None:
        return
    with transaction.atomic():
        issuer = f"{stream.connection_id} {event.issuer}"
        if not spent.spend(SPENT, issuer, event.jti, expires_at=event.expires_at):
            return
        if kind_of(event) == VERIFICATION:
            _verified(event, stream, at)
        elif kind_of(event) == STREAM_UPDATED:
            _updated(event, stream, at)


def _check_subject(event: SecurityEvent, stream: SignalStream | None) -> None:
    """An older one may have none: then its token's audience says which stream it is about. In the profile for Apple Keycloak
    has it one level down, as it has people."""
    subject = event.sub_id
    if isinstance(subject, dict) and set(subject) == {"user"}:
        subject = subject["user"]
    if subject is None and event.type in OLDER:
        return
    if (
        not isinstance(subject, dict)
        or subject.get("format", subject.get("subject_type")) != "opaque"
        or not isinstance(subject.get("id"), str)
    ):
        raise RefusedSignal("An event about the stream names it as an opaque subject.")
    if stream is not None and subject["id"] != stream.stream_id:
        raise RefusedSignal("The event is about another stream than this connection's.")


def _verified(event: SecurityEvent, stream: SignalStream, at: datetime) -> None:
    """One that nobody asked for has no state."""
    state = event.event.get("state")
    if state is not None and state != stream.verification_state:
        raise RefusedSignal("state is not what this receiver asked with.", error="invalid_state")
    SignalStream.objects.filter(pk=stream.pk).update(verified_at=at)


def _updated(event: SecurityEvent, stream: SignalStream, at: datetime) -> None:
    told = read_status(event.event)
    if told is None:
        raise RefusedSignal(f"status must be one of {', '.join(STATUSES)}.")
    SignalStream.objects.filter(pk=stream.pk).update(status=told.status, reason=told.reason)
    trail.record(
        EventType.SIGNAL_STREAM_CHANGED,
        connection=stream.connection,
        actor=f"upstream:{stream.connection.name}",
        at=at,
        data={"stream": stream.stream_id, "status": told.status},
    )
