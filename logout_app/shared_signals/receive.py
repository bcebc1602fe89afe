"""A security event token: believed, understood, acted upon once, and kept for the connection's page.

Pushed and polled ones come here. When `take` returns, all of it is committed; what is refused raises, and is kept too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from idp.connections.contract import UpstreamFault
from idp.connections.oidc.wire import Deadline
from idp.crypto import spent
from idp.database.guarded import insert
from idp.database.limits import longer
from idp.http.requests import RequestFacts
from idp.limits import limiter
from idp.models import Connection
from idp.protocol.errors import ProtocolError, TemporarilyUnavailable
from idp.protocol.initiators import Initiator
from idp.protocol.signal_events import Effect, harmless, short
from logout_app.delivery import tallies
from logout_app.ending.end import LONGEST_ACT
from logout_app.models import ReceivedSignal
from logout_app.protocol.shared_signals import subjects, tokens
from logout_app.protocol.shared_signals.subjects import SignalSubject
from logout_app.protocol.shared_signals.tokens import SecurityEvent
from logout_app.shared_signals import effects, people, stream_events, trust
from logout_app.shared_signals.effects import SignalOutcome, SignalTarget
from logout_app.shared_signals.people import NOBODY, NamedAccounts
from logout_app.shared_signals.trust import SignalTrust
from sessions_app.audit import trail
from sessions_app.audit.events import EventType

SPENT = "signal"
# Lines of the page that one connection may fill in an hour with what ended nothing, and strangers with what was not believed.
KEPT_WITHOUT_EFFECT = limiter.Limit("signal-idle", 1000, 3600)
KEPT_REFUSED = limiter.Limit("signal-refused", 200, 3600)
KEPT_OF_NETWORK = limiter.Limit("signal-network", 50, 3600)


@dataclass
class Arrival:
    """A token that came, and what becomes known of it."""

    connection: Connection
    encoded: str
    facts: RequestFacts = field(default_factory=RequestFacts)
    event: SecurityEvent | None = None
    subject: SignalSubject = field(default_factory=SignalSubject)
    is_believed: bool = False  # a key of the transmitter signed it


def take(arrival: Arrival, believed: SignalTrust, at: datetime, deadline: Deadline | None = None) -> None:
    """Do once what the event does. Raises ProtocolError; `error` is RFC 8935's code, but for what may be tried again (503)."""
    try:
        event, critical = _believe(arrival, believed, at, deadline or Deadline())
        if stream_events.kind_of(event):
            stream_events.take(event, believed, at)
            return
        arrival.subject = subjects.read(event.sub_id)
        named = _named(arrival, believed, at)
        _act(arrival, event, believed, named, critical, at)
    except UpstreamFault as fault:
        description = "What the event is checked with cannot be had at the moment. Please try again."
        unavailable = TemporarilyUnavailable(description, detail=fault.reason)
        _keep_refusal(arrival, unavailable, at)  # an administrator may be the one who can mend it
        raise unavailable from fault
    except ProtocolError as error:
        _keep_refusal(arrival, error, at)
        raise


def _believe(
    arrival: Arrival, believed: SignalTrust, at: datetime, deadline: Deadline
) -> tuple[SecurityEvent, frozenset[str]]:
    token = tokens.read(arrival.encoded)
    event = tokens.check(token, believed.options.issuer, believed.audiences, at)
    critical = trust.check_signature(believed, token, arrival.encoded, deadline)
    arrival.event, arrival.is_believed = event, True
    return event, critical


def _named(arrival: Arrival, believed: SignalTrust, at: datetime) -> NamedAccounts:
    """Whoever upstream must be asked for that is asked before the transaction."""
    names = arrival.subject.people
    return people.find(arrival.connection, names, believed, at) if names else NOBODY


def _act(
    arrival: Arrival,
    event: SecurityEvent,
    believed: SignalTrust,
    named: NamedAccounts,
    critical: frozenset[str],
    at: datetime,
) -> None:
    """What is rolled back spends nothing: then the same token does it when it comes again. A repetition does nothing."""
    connection = arrival.connection
    with longer(LONGEST_ACT), transaction.atomic():
        issuer = f"{connection.public_id} {event.issuer}"
        if not spent.spend(SPENT, issuer, event.jti, expires_at=event.expires_at):
            tallies.add({("signals", "repeated"): 1})
            return
        target = SignalTarget(connection, named, arrival.subject, event.until, at)
        outcome = _outcome(event, believed, target, critical)
        if outcome.sessions or _has_room(KEPT_WITHOUT_EFFECT.key(connection.pk), at):
            _keep(arrival, event, outcome, named, at)
        tallies.add({("signals", outcome.effect.value): 1})  # last: whoever counts another event waits for this row


def _outcome(
    event: SecurityEvent, believed: SignalTrust, target: SignalTarget, critical: frozenset[str]
) -> SignalOutcome:
    effect = believed.options.effect_of(event.type)
    if missed := subjects.not_understood(target.subject, critical):
        return SignalOutcome(
            Effect.NOTE, f"its subject has a critical {' and '.join(sorted(missed))}, which is not known here"
        )
    if reason := harmless(event.type, event.event):
        return SignalOutcome(Effect.NOTE, reason)
    if not target.is_somebody:
        return SignalOutcome(Effect.NOTE, "nobody of this connection is named so")
    return effects.apply(effect, target, event.event.get("claims"))


def _keep(arrival: Arrival, event: SecurityEvent, outcome: SignalOutcome, named: NamedAccounts, at: datetime) -> None:
    sub = named.sub or (outcome.event.sub if outcome.event else "")
    _kept(
        arrival,
        at,
        issued_at=event.issued_at,
        effect=outcome.effect.value,
        reason=outcome.reason[:500],
        sub=sub,
        sessions=outcome.sessions,
        event=outcome.event,
    )
    trail.record(
        EventType.SIGNAL_RECEIVED,
        sub=sub,
        connection=arrival.connection,
        facts=arrival.facts,
        initiator=Initiator.SHARED_SIGNAL.value if outcome.event else "",
        actor=f"upstream:{arrival.connection.name}",
        at=at,
        data={
            "type": short(event.type),
            "subject": str(arrival.subject),
            "effect": outcome.effect.value,
            "reason": outcome.reason,
            "jti": event.jti,
            "event": outcome.event.pk if outcome.event else None,
            "sessions": outcome.sessions,
        },
    )


def _kept(arrival: Arrival, at: datetime, **columns: object) -> None:
    event, known = arrival.event, {}
    if event is not None:
        known = {"type": short(event.type), "jti": event.jti}
    insert(
        ReceivedSignal(
            connection=arrival.connection,
            at=at,
            subject=str(arrival.subject),
            ip=arrival.facts.ip,
            user_agent=arrival.facts.user_agent,
            **known,
            **columns,
        )
    )


def _keep_refusal(arrival: Arrival, error: ProtocolError, at: datetime) -> None:
    reason = error.detail or error.description
    with transaction.atomic():
        if _keeps_refusal(arrival, at):
            _kept(arrival, at, error=error.error, reason=reason[:500])
            data: Mapping[str, str] = {"error": error.error, "reason": reason}
            trail.record(
                EventType.SIGNAL_REFUSED,
                connection=arrival.connection,
                facts=arrival.facts,
                actor=f"upstream:{arrival.connection.name}",
                at=at,
                data=data,
            )
        tallies.add({("signals", error.error): 1})


def _keeps_refusal(arrival: Arrival, at: datetime) -> bool:
    """What a key of the transmitter signed has room that strangers cannot fill."""
    source = arrival.connection.pk
    if arrival.is_believed:
        return _has_room(KEPT_WITHOUT_EFFECT.key(source), at)
    of_network = KEPT_OF_NETWORK.key(source, limiter.prefix(arrival.facts.ip))
    return _has_room(of_network, at) and _has_room(KEPT_REFUSED.key(source), at)


def _has_room(key: limiter.Key, at: datetime) -> bool:
    """Once this process has seen the window full, asking costs nothing."""
    return not limiter.is_blocked(key, at) and limiter.count_failure(key, at) <= key.limit.count
