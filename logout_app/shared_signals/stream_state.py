"""What the transmitter says of our stream: whether it is there, and whether it runs (Shared Signals Framework 1.0 sections 8.1.1.2
and 8.1.2). A transmitter need not offer either, so that no answer to these questions is no fault.
"""

from __future__ import annotations

from urllib.parse import urlencode

from idp.connections.contract import UpstreamFault
from idp.connections.oidc.wire import Deadline
from idp.models import Connection
from logout_app.protocol.shared_signals import streams
from logout_app.protocol.shared_signals.streams import ENABLED, StreamStatus, Transmitter
from logout_app.shared_signals import transmitter
from logout_app.shared_signals.transmitter import expect


def of(endpoint: str, stream_id: str) -> str:
    """The address by which an endpoint is asked about one stream."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode({'stream_id': stream_id})}"


def look(connection: Connection, found: Transmitter, stream_id: str, deadline: Deadline) -> None:
    """Raises UpstreamFault if somebody deleted the stream there."""
    if not found.configuration_endpoint:
        return
    answer = transmitter.ask(connection, "GET", of(found.configuration_endpoint, stream_id), deadline)
    if answer.status == 404:
        raise UpstreamFault(f"The transmitter has no stream {stream_id} any more: disconnect, and connect again.")


def enable(connection: Connection, found: Transmitter, stream_id: str, deadline: Deadline) -> StreamStatus | None:
    """Its status, after it was asked to run if it did not; None: it is not told. Raises UpstreamFault if it may not run."""
    if not found.status_endpoint:
        return None
    answer = transmitter.ask(connection, "GET", of(found.status_endpoint, stream_id), deadline)
    known = streams.read_status(answer.document) if answer.status == 200 else None
    if known is None or known.status == ENABLED:
        return known
    wanted = {"stream_id": stream_id, "status": ENABLED}
    expect(transmitter.ask(connection, "POST", found.status_endpoint, deadline, wanted), {200, 202}, "have it run")
    return StreamStatus(ENABLED)
