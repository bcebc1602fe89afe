"""*Signals* on a connection's page: the stream of its security events, what came by it, and the acts on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.urls import reverse

from idp.admin.connections.heard import Heard
from idp.admin.support import AdminAct, actor_of
from idp.connections import shared_signals
from idp.connections.contract import UpstreamFault
from idp.connections.options import KEYS
from idp.connections.places import BUSY, turn
from idp.connections.shared_signals import SignalOptions
from idp.models import Connection
from idp.protocol.errors import TemporarilyUnavailable
from idp.protocol.signal_events import Effect
from logout_app.models import ReceivedSignal, SignalStream
from logout_app.protocol.shared_signals.streams import StreamConfiguration
from logout_app.shared_signals import connect

SHOWN = 10  # the newest
DONE = {
    Effect.END_EVERYTHING: "everything of {whom} ended, {count}",
    Effect.END_SESSIONS: "{count} of {whom} ended",
    Effect.REQUIRE_REAUTHENTICATION: "{whom} must sign in again, in {count}",
    Effect.REFRESH_GROUPS: "groups of {whom} were written down",
    Effect.NOTE: "nothing was done for {whom}",
}

NOBODY_YET = (
    " It tells of nobody yet: its default_subjects is NONE. Have it tell of everybody (Keycloak: Default subjects ALL of its "
    "receiver), or subscribe people there."
)


@dataclass(frozen=True, slots=True)
class SignalsPanel:
    """What the page shows; `stream` is None where events come by hand."""

    options: SignalOptions
    stream: SignalStream | None
    lag: timedelta | None  # of the last event that was believed
    received: tuple[Heard, ...]


def panel(connection: Connection) -> SignalsPanel | None:
    """None: the connection believes no events, and never did."""
    options = shared_signals.of(connection)
    rows = list(
        ReceivedSignal.objects.filter(connection=connection).select_related("event").order_by("-at", "-pk")[:SHOWN]
    )
    if options is None:
        return None
    lag = next((row.at - row.issued_at for row in rows if row.issued_at), None)
    return SignalsPanel(options, stream_of(connection), lag and max(lag, timedelta()), tuple(map(_heard, rows)))


def are_possible(connection: Connection) -> bool:
    """Whether the connection's form has the option."""
    return shared_signals.OPTION in KEYS.get(connection.strategy, ())


def stream_of(connection: Connection) -> SignalStream | None:
    return SignalStream.objects.filter(connection=connection).first()


def _heard(row: ReceivedSignal) -> Heard:
    url = reverse("admin:logout_app_logoutevent_change", args=(row.event_id,)) if row.event_id else ""
    what = row.type or "An event"
    if row.error:
        return Heard(row.at, "bad", f"{what} was refused ({row.error}): {row.reason}")
    count = f"{row.sessions} session{'s' * (row.sessions != 1)}"
    done = DONE[Effect(row.effect)].format(whom=row.sub or row.subject or "nobody", count=count)
    why = f" ({row.reason})" if row.reason else ""
    return Heard(row.at, "warn" if row.effect == Effect.NOTE else "fine", f"{what}: {done}{why}.", url)


def explain_connect(connection: Connection) -> list[str]:
    options = shared_signals.of(connection)
    if options is None:
        return []
    how = (
        "push its events to us"
        if options.method == shared_signals.PUSH
        else "keep its events until we ask, every 15 seconds"
    )
    return [
        f"{options.issuer} is asked, with the access token of this connection, to {how}.",
        "A stream that it has for us already is changed to this one. Then it is asked for a test event.",
    ]


def do_connect(request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None) -> str:
    made: list[StreamConfiguration] = []

    def act(options: SignalOptions) -> None:
        made.append(connect.connect(connection, options, actor=actor_of(request), at=at))

    _ask(connection, act)
    nobody = NOBODY_YET if made[0].tells_of_nobody else ""
    try:
        _ask(connection, lambda options: connect.verify(connection, options, at=at))
    except TemporarilyUnavailable as unverified:
        return f"Connected. No test event could be asked for: {unverified.description}{nobody}"
    return f"Connected, and asked for a test event: this page tells when it came.{nobody}"


def do_disconnect(request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None) -> str:
    options = shared_signals.of(connection)
    with turn(BUSY):
        fault = connect.disconnect(connection, options, actor=actor_of(request), at=at)
    return f"Disconnected here. {fault}" if fault else "Disconnected: the transmitter has deleted the stream."


def do_test(request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None) -> str:
    _ask(connection, lambda options: connect.verify(connection, options, at=at))
    return "Asked for a test event: this page tells when it came."


def _ask(connection: Connection, act: Callable[[SignalOptions], None]) -> None:
    """Raises TemporarilyUnavailable, which the page shows with its sentence."""
    options = shared_signals.of(connection)
    if options is None:
        raise TemporarilyUnavailable("This connection names no issuer of security events any more.")
    try:
        with turn(BUSY):
            act(options)
    except UpstreamFault as fault:
        raise TemporarilyUnavailable(fault.reason) from fault


def _may_connect(connection: Any) -> bool:
    options, stream = shared_signals.of(connection), stream_of(connection)
    if options is None or not shared_signals.can_ask(connection):
        return False
    return stream is None or (stream.issuer, stream.method) != (options.issuer, options.method)


CONNECT = AdminAct("connect-signals", "Connect signals", explain_connect, do_connect, offered=_may_connect)
DISCONNECT = AdminAct(
    "disconnect-signals",
    "Disconnect signals",
    lambda _: [
        "The transmitter is asked to delete the stream. Whatever it answers, the stream is forgotten here.",
        "Events that come by hand are believed as before.",
    ],
    do_disconnect,
    offered=lambda connection: stream_of(connection) is not None,
)
TEST = AdminAct(
    "test-signals",
    "Ask for a test event",
    lambda _: [
        "The transmitter is asked for a verification event. It concerns nobody, and ends nothing.",
        "A stream that was paused or disabled is asked to run again.",
    ],
    do_test,
    offered=lambda connection: shared_signals.of(connection) is not None and stream_of(connection) is not None,
    danger=False,
)
ACTS = (CONNECT, TEST, DISCONNECT)
GUARDED = frozenset({CONNECT.name, DISCONNECT.name})  # who is believed is changed by who may change what is trusted
