"""*Connect*: a stream at the transmitter, made, verified and taken back from the admin (Shared Signals Framework 1.0 section 8).

Nobody is asked while a transaction is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from idp.connections.contract import UpstreamFault
from idp.connections.oidc.wire import Deadline
from idp.connections.shared_signals import PUSH, SignalOptions
from idp.models import Connection
from idp.protocol.opaque import digest, new_secret
from logout_app.models import SignalStream
from logout_app.protocol.shared_signals import streams
from logout_app.protocol.shared_signals.streams import StreamConfiguration, Transmitter
from logout_app.shared_signals import stream_state, transmitter
from logout_app.shared_signals.transmitter import TransmitterAnswer, expect
from logout_app.shared_signals.trust import endpoint_of
from sessions_app.audit import trail
from sessions_app.audit.events import EventType

PATIENCE = 15.0  # seconds for all requests of one act
TAKEN, GONE = 409, 404  # the transmitter has a stream for us; has none of this name
TOO_SOON = 429  # min_verification_interval (section 8.1.4.2)
NOT_OFFERED = {404, 405, 501}  # to replace a stream: not every transmitter does


def connect(connection: Connection, options: SignalOptions, *, actor: str, at: datetime) -> StreamConfiguration:
    """Make the stream, change the one that we know to what is configured now, or take over one that the transmitter still
    has for us; and have it run. Raises UpstreamFault."""
    deadline = Deadline(PATIENCE)
    found = transmitter.discover(options, deadline)
    if not found.configuration_endpoint:
        raise UpstreamFault(f"{options.issuer} has no configuration_endpoint: make the stream on its own pages.")
    authorization = f"Bearer {new_secret()}" if options.method == PUSH else ""
    asked = streams.wanted(found, method=options.method, endpoint=endpoint_of(connection), authorization=authorization)
    made = _made(connection, found, options, asked, deadline)
    stream_state.enable(connection, found, made.stream_id, deadline)
    with transaction.atomic():
        stream, _ = SignalStream.objects.update_or_create(
            connection=connection, defaults=_columns(made, options, authorization, at)
        )
        _record(connection, stream, "connected", actor, at)
    return made


def disconnect(connection: Connection, options: SignalOptions | None, *, actor: str, at: datetime) -> str:
    """Forget the stream, and delete it at the transmitter; returns why that was not possible, or "".

    What we have forgotten is not believed by its audience any more, whether the transmitter heard of it or not.
    """
    stream = SignalStream.objects.get(connection=connection)
    fault = ""
    try:
        _delete(connection, options, stream)
    except UpstreamFault as error:
        fault = error.reason
    with transaction.atomic():
        _record(connection, stream, "disconnected", actor, at)
        stream.delete()
    return fault


def verify(connection: Connection, options: SignalOptions, *, at: datetime) -> None:
    """Look whether the stream is there and runs, and ask for a verification event, which comes as any other. Raises
    UpstreamFault."""
    deadline = Deadline(PATIENCE)
    found = transmitter.discover(options, deadline)
    stream = SignalStream.objects.get(connection=connection)
    stream_state.look(connection, found, stream.stream_id, deadline)
    known = stream_state.enable(connection, found, stream.stream_id, deadline)
    if known is not None:
        SignalStream.objects.filter(pk=stream.pk).update(status=known.status, reason=known.reason)
    if not found.verification_endpoint:
        raise UpstreamFault(f"{options.issuer} has no verification_endpoint: it cannot be asked for a test event.")
    _ask_for_verification(connection, stream, found.verification_endpoint, deadline, at)


def _ask_for_verification(
    connection: Connection, stream: SignalStream, url: str, deadline: Deadline, at: datetime
) -> None:
    """The state is known before the event can come. If none will, the one that is on its way still counts."""
    state, kept = new_secret(), SignalStream.objects.filter(pk=stream.pk)
    kept.update(verification_state=state, verification_asked_at=at)
    answer = transmitter.ask(connection, "POST", url, deadline, {"stream_id": stream.stream_id, "state": state})
    if answer.status == TOO_SOON:
        kept.filter(verification_state=state).update(
            verification_state=stream.verification_state, verification_asked_at=stream.verification_asked_at
        )
        raise UpstreamFault("The transmitter wants more time between two test events: ask again in a minute.")
    expect(answer, {200, 202, 204}, "verify it")


def _made(
    connection: Connection, found: Transmitter, options: SignalOptions, asked: Mapping[str, Any], deadline: Deadline
) -> StreamConfiguration:
    url, answer = found.configuration_endpoint, None
    if known := SignalStream.objects.filter(connection=connection, issuer=options.issuer).first():
        answer = transmitter.ask(connection, "PATCH", url, deadline, {"stream_id": known.stream_id, **asked})
    if answer is None or answer.status == GONE:
        answer = transmitter.ask(connection, "POST", url, deadline, asked)
    if answer.status == TAKEN:
        answer = _taken_over(connection, found, options, asked, deadline)
    expect(answer, {200, 201}, "make a stream")
    try:
        return streams.read_stream(answer.document, found, options.method)
    except streams.BadDocument as error:
        raise UpstreamFault(f"{options.issuer} {error}.") from error


def _taken_over(
    connection: Connection, found: Transmitter, options: SignalOptions, asked: Mapping[str, Any], deadline: Deadline
) -> TransmitterAnswer:
    """Replaced whole: whatever else it had is nothing that we know."""
    url, body = found.configuration_endpoint, {"stream_id": _ours(connection, found, options, deadline), **asked}
    answer = transmitter.ask(connection, "PUT", url, deadline, body)
    return transmitter.ask(connection, "PATCH", url, deadline, body) if answer.status in NOT_OFFERED else answer


def _ours(connection: Connection, found: Transmitter, options: SignalOptions, deadline: Deadline) -> str:
    """The id of the stream that the transmitter has for us. It has one per receiver: what is there is ours."""
    answer = transmitter.ask(connection, "GET", found.configuration_endpoint, deadline)
    expect(answer, {200}, "list its streams")
    listed = answer.document.get("list", [answer.document])
    ids = [each.get("stream_id") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    if len(ids) != 1 or not isinstance(ids[0], str):
        raise UpstreamFault(f"{options.issuer} has {len(ids)} streams for us: delete them there first.")
    return ids[0]


def _delete(connection: Connection, options: SignalOptions | None, stream: SignalStream) -> None:
    if options is None or options.issuer != stream.issuer:
        raise UpstreamFault(f"The connection does not name {stream.issuer} any more: delete the stream there.")
    deadline = Deadline(PATIENCE)
    url = transmitter.discover(options, deadline).configuration_endpoint
    if not url:
        raise UpstreamFault(f"{options.issuer} has no configuration_endpoint: delete the stream there.")
    # Without the id some delete every stream.
    answer = transmitter.ask(connection, "DELETE", stream_state.of(url, stream.stream_id), deadline)
    expect(answer, {200, 204, 404}, "delete the stream")


def _columns(made: StreamConfiguration, options: SignalOptions, authorization: str, at: datetime) -> dict[str, Any]:
    return {
        "issuer": options.issuer,
        "stream_id": made.stream_id,
        "method": options.method,
        "audiences": list(made.audiences),
        "endpoint": made.endpoint,
        "push_secret": digest(authorization) if authorization else "",
        "status": "enabled",
        "reason": "",
        "connected_at": at,
        "verification_state": "",
        "verification_asked_at": None,
        "verified_at": None,
        "polled_at": None,
        "poll_fault": "",
    }


def _record(connection: Connection, stream: SignalStream, status: str, actor: str, at: datetime) -> None:
    trail.record(
        EventType.SIGNAL_STREAM_CHANGED,
        connection=connection,
        actor=actor,
        at=at,
        data={"stream": stream.stream_id, "status": status},
    )
