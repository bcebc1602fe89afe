"""Whose security events a connection believes (Shared Signals): the option of its own, the stream there, and the acts on it.

Rules and trust are those of the connection's options. Secrets go in and never come out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from idp.connections import shared_signals, trust
from idp.connections.contract import UpstreamFault
from idp.connections.options import KEYS
from idp.connections.places import BUSY, turn
from idp.connections.shared_signals import MEMBERS, OPTION, SECRET, TOKEN, SignalOptions
from idp.models import Connection
from idp.tenants import connections as entries
from logout_app.api.frame import body
from logout_app.api.frame.errors import ApiError
from logout_app.api.frame.operations import Call, Operation
from logout_app.api.frame.times import iso
from logout_app.api.tenant import connections
from logout_app.models import ReceivedSignal, SignalStream
from logout_app.shared_signals import connect
from logout_app.shared_signals.trust import endpoint_of

NEEDED = "read:connections_options"
SECRETS = {"token": TOKEN, "secret": SECRET}  # as they are called here -> as options of the connection


def get(call: Call, connection_id: str) -> Any:
    return _shape(*_found(connections.find(connection_id)))


def replace(call: Call, connection_id: str) -> Any:
    """All of the option; a secret that is not given stays, unless it would be sent to a new place."""
    row = connections.find(connection_id, locked=True)
    if OPTION not in KEYS.get(row.strategy, ()):
        raise ApiError(400, f"Connections of {row.strategy} hear no security events", "operation_not_supported")
    with body.reading(call.body) as reader:
        said = {"issuer": reader.text("issuer", required=True), "events": reader.mapping("events")}
        said |= {name: reader.anything(name) for name in MEMBERS if name not in said}
        secrets = {ours: reader.text(name) for name, ours in SECRETS.items()}
    given = {name: value for name, value in secrets.items() if value}
    option = {name: value for name, value in said.items() if value is not None}
    _save(call, row, {OPTION: option, **given})
    return _shape(*_found(connections.find(connection_id)))


def delete(call: Call, connection_id: str) -> None:
    """It believes no events any more, and its secrets are forgotten."""
    row = connections.find(connection_id, locked=True)
    _found(row)
    if _stream(row):
        raise ApiError(409, "The transmitter has a stream for it: disconnect it first", "conflict")
    _save(call, row, {}, removed=frozenset(SECRETS.values()) & frozenset(row.sealed_options))


def _save(call: Call, row: Connection, changes: dict[str, Any], *, removed: frozenset[str] = frozenset()) -> None:
    kept = {name: value for name, value in connections.options_of(row).items() if name != OPTION}
    try:
        entry = connections.entry_of({"name": row.name, "strategy": row.strategy, "options": kept | changes})
        if not removed:
            body.refuse(entries.untyped(row, entry), connections.PLACE)
    except ApiError as refused:
        raise ApiError(refused.status, _in_our_words(refused.message), refused.code) from None
    connections.save(call, row, entry, removed=removed)


def _in_our_words(message: str) -> str:
    for prefix in (f"options.{OPTION}.", f"options.{OPTION}_"):
        message = message.replace(prefix, "")
    return message.replace(f"options.{OPTION}:", "the receiver:")


def connect_stream(call: Call, connection_id: str) -> Any:
    """Make the stream at the transmitter, or change the one that it has for us; and ask for a test event."""
    row = _guarded(call, connection_id)
    _ask(row, lambda options: connect.connect(row, options, actor=call.actor, at=call.at))
    return _shape(*_found(row))


def verify_stream(call: Call, connection_id: str) -> None:
    row = connections.find(connection_id)
    _connected(row)
    _ask(row, lambda options: connect.verify(row, options, at=call.at))


def disconnect_stream(call: Call, connection_id: str) -> Any:
    """Forgotten here in any case; `reason` says why the transmitter could not delete it."""
    row = _guarded(call, connection_id)
    _connected(row)
    with turn(BUSY):
        fault = connect.disconnect(row, shared_signals.of(row), actor=call.actor, at=call.at)
    return {"deleted_there": not fault} | ({"reason": fault} if fault else {})


def _guarded(call: Call, connection_id: str) -> Connection:
    """Who is believed is changed by who may change what is trusted."""
    row = connections.find(connection_id)
    if reason := trust.concern(row, lends=call.caller.scopes):
        raise ApiError(403, f"Only a superuser may change this (signals): {reason}.", "operation_not_supported")
    return row


def _ask(row: Connection, act: Callable[[SignalOptions], object]) -> None:
    _, options = _found(row)
    if not shared_signals.can_ask(row):
        raise ApiError(
            400, "There is no token or secret by which the transmitter would know us", "operation_not_supported"
        )
    try:
        with turn(BUSY):
            act(options)
    except UpstreamFault as fault:
        raise ApiError(502, fault.reason, "transmitter_failed") from None


def _found(row: Connection) -> tuple[Connection, SignalOptions]:
    options = shared_signals.of(row)
    if options is None:
        raise ApiError(404, "The connection believes no security events", "inexistent_signals")
    return row, options


def _stream(row: Connection) -> SignalStream | None:
    return SignalStream.objects.filter(connection=row).first()


def _connected(row: Connection) -> None:
    if _stream(row) is None:
        raise ApiError(404, "There is no stream at the transmitter", "inexistent_stream")


def _shape(row: Connection, options: SignalOptions) -> dict[str, Any]:
    stream = _stream(row)
    came = ReceivedSignal.objects.filter(connection=row).order_by("-at", "-pk").first()
    return {
        "issuer": options.issuer,
        "jwks_uri": options.jwks_uri or None,
        "audience": list(options.audiences),
        "method": options.method,
        "events": dict(row.options[OPTION].get("events") or {}),
        "client_id": options.client_id or None,
        "token_endpoint": options.token_endpoint or None,
        "has_token": TOKEN in row.sealed_options,
        "has_secret": SECRET in row.sealed_options,
        "endpoint": endpoint_of(row),
        "stream": _told(stream) if stream else None,
        "last_event": _event(came) if came else None,
    }


def _told(stream: SignalStream) -> dict[str, Any]:
    return {
        "stream_id": stream.stream_id,
        "issuer": stream.issuer,
        "method": stream.method,
        "status": stream.status,
        "reason": stream.reason or stream.poll_fault or None,
        "connected_at": iso(stream.connected_at),
        "verified_at": iso(stream.verified_at),
        "polled_at": iso(stream.polled_at),
    }


def _event(came: ReceivedSignal) -> dict[str, Any]:
    """What came, not of whom: that is in the trail."""
    return {
        "at": iso(came.at),
        "issued_at": iso(came.issued_at),
        "type": came.type or None,
        "effect": came.effect or None,
        "error": came.error or None,
    }


ONE = "connections/<str:connection_id>/signals"
OPERATIONS = (
    Operation("GET", ONE, [NEEDED], get, "Whose security events it believes, and how the stream is; 404 if it believes none."),
    Operation("PUT", ONE, ["update:connections"], replace,
              "Believe these events. Secrets (`token`, `secret`) never come back; one that is left out stays."),
    Operation("DELETE", ONE, ["update:connections"], delete, "Believe none any more; 409 while there is a stream.", 204),
    Operation("POST", f"{ONE}/connect", ["update:connections"], connect_stream,
              "Make the stream at the transmitter, or change it to what is configured.", network=True),
    Operation("POST", f"{ONE}/verify", ["update:connections"], verify_stream, "Ask the transmitter for a test event.",
              202, network=True),
    Operation("POST", f"{ONE}/disconnect", ["update:connections"], disconnect_stream,
              "Have the transmitter delete the stream, and forget it.", network=True),
)  # fmt: skip
