"""Transmitters that are asked for their events (RFC 8936). An event is acknowledged once what it does is committed.

Who dies between the two gets it again, and it does nothing: its `jti` is spent. So two polls at once do no harm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db.models import F

from idp.connections.contract import UpstreamFault
from idp.connections.oidc.wire import Deadline
from idp.connections.shared_signals import POLL
from idp.models import Connection
from idp.protocol.errors import ProtocolError
from logout_app.models import SignalStream
from logout_app.protocol.shared_signals import streams
from logout_app.shared_signals import receive, transmitter
from logout_app.shared_signals.receive import Arrival
from logout_app.shared_signals.trust import SignalTrust, trust

PATIENCE = 10.0  # seconds for one transmitter
PATIENCE_WITH_ALL = 60.0  # what is left waits for the next run, which begins with it
log = structlog.get_logger(__name__)


@dataclass
class _Verdicts:
    """What the next request tells of the tokens of the last answer; what is in neither comes again."""

    acks: list[str] = field(default_factory=list)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)


def poll_all(at: datetime) -> int:
    """Ask every transmitter that has a polled stream; returns how many events came."""
    came, deadline = 0, Deadline(PATIENCE_WITH_ALL)
    streams_to_ask = SignalStream.objects.filter(method=POLL, connection__enabled=True).select_related("connection")
    for stream in streams_to_ask.order_by(F("polled_at").asc(nulls_first=True), "pk"):
        if not deadline.left():
            log.warning("signals.out_of_time", connection=stream.connection.name)
            return came
        believed = trust(stream.connection)
        if believed is None or believed.stream is None or believed.options.method != POLL:
            continue
        came += _poll(stream, believed, at)
    return came


def _poll(stream: SignalStream, believed: SignalTrust, at: datetime) -> int:
    fault, came = "", 0
    try:
        came = _until_empty(stream, believed, at)
    except UpstreamFault as error:
        fault = error.reason[:500]
        log.warning("signals.poll_failed", connection=stream.connection.name, reason=fault)
    changes = {"poll_fault": fault} | ({} if fault else {"polled_at": at})
    SignalStream.objects.filter(pk=stream.pk).update(**changes)
    return came


def _until_empty(stream: SignalStream, believed: SignalTrust, at: datetime) -> int:
    """The last request brings nothing but acknowledgements. Without time for it they are sent with the next poll's events."""
    verdicts, deadline, came = _Verdicts(), Deadline(PATIENCE), 0
    while deadline.left():
        sets = _ask(stream, verdicts, deadline)
        verdicts = _Verdicts()
        for key, encoded in sets.items():
            _take(stream.connection, key, encoded, believed, at, verdicts, deadline)
        came += len(sets)
        if not (verdicts.acks or verdicts.errors):
            return came
    return came


def _ask(stream: SignalStream, verdicts: _Verdicts, deadline: Deadline) -> dict[str, str]:
    body = streams.poll_request(verdicts.acks, verdicts.errors)
    answer = transmitter.ask(stream.connection, "POST", stream.endpoint, deadline, body)
    if answer.status != 200:
        raise UpstreamFault(f"The transmitter at {stream.endpoint} answered a poll with HTTP {answer.status}.")
    try:
        return streams.read_poll(answer.document)
    except streams.BadDocument as error:
        raise UpstreamFault(f"The transmitter at {stream.endpoint} {error}.") from error


def _take(
    connection: Connection,
    key: str,
    encoded: str,
    believed: SignalTrust,
    at: datetime,
    verdicts: _Verdicts,
    deadline: Deadline,
) -> None:
    try:
        receive.take(Arrival(connection, encoded), believed, at, deadline)
    except ProtocolError as error:
        if error.status < 500:  # else it comes again
            verdicts.errors[key] = {"err": error.error, "description": error.description}
        return
    verdicts.acks.append(key)
