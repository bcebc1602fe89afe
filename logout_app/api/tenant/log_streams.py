"""Webhooks as Auth0's log streams of type `http`."""

from __future__ import annotations

from typing import Any

from logout_app.api.frame import body
from logout_app.api.frame.body import BodyReader
from logout_app.api.frame.operations import FIELDS, Call, Operation
from logout_app.api.frame.query import moment
from logout_app.api.tenant import webhooks
from logout_app.models import EventStream, StreamKind, StreamState
from logout_app.streams import manage, rules
from sessions_app.audit import history

HTTP = "http"
FORMATS = {"JSONOBJECT": "object", "JSONARRAY": "array", "JSONLINES": "lines"}
_FORMAT_OF = {ours: theirs for theirs, ours in FORMATS.items()}
JSON = "application/json"
PLACE = "logStreams[0]"  # of a tenant file, whose keys of Auth0's that mean nothing here mean nothing here either
_TYPES = {"object": JSON, "array": JSON, "lines": "application/x-ndjson"}
STATES = {"active": StreamState.ENABLED, "paused": StreamState.PAUSED, "suspended": StreamState.DISABLED}
_STATE_OF = {ours.value: theirs for theirs, ours in STATES.items()}


def shape(row: EventStream) -> dict[str, Any]:
    """Without what authorizes requests, and what signs them."""
    sink = {
        "httpEndpoint": row.endpoint,
        "httpContentType": _TYPES[row.body_format],
        "httpContentFormat": _FORMAT_OF[row.body_format],
    }
    return {
        "id": f"lst_{row.public_id}",
        "name": row.name,
        "type": HTTP,
        "status": _STATE_OF[row.status],
        "sink": sink,
        "isPriority": False,
        "filters": [{"type": "category", "name": name} for name in row.events],
    }


def list_streams(call: Call) -> Any:
    return [shape(row) for row in EventStream.objects.filter(kind=StreamKind.WEBHOOK, as_events=False).order_by("pk")]


def get(call: Call, stream_id: str) -> Any:
    return shape(_find(stream_id))


def create(call: Call) -> Any:
    """From now on, or from `startFrom`. The secret of the signatures is in this answer and in no other."""
    row = webhooks.new(call, as_events=False)
    with body.reading(call.body, PLACE) as reader:
        reader.choice("type", (HTTP,))
        reader.text("type", required=True)
        _read(reader, row)
        _read_start(reader, row)
        if not row.endpoint:
            reader.problem("sink.httpEndpoint", "is missing")
    webhooks.check(call)
    secret = webhooks.make(call, row)
    found = shape(row)
    return found | {"sink": found["sink"] | {"signatureSecret": secret}}


def update(call: Call, stream_id: str) -> Any:
    row = _find(stream_id, locked=True)
    with body.reading(call.body, PLACE) as reader:
        status = reader.choice("status", STATES)
        before = row.endpoint
        given = _read(reader, row)
        if row.endpoint != before and row.authorization and not given:
            reader.problem(
                "sink.httpAuthorization", "must be given with a new httpEndpoint: the old one is not sent there"
            )
    if call.body.keys() - {"status"}:
        webhooks.check(call)
        webhooks.change(call, row)
    if status:
        manage.set_status(row, STATES[status], "", actor=call.actor, at=call.at, by=manage.SetBy.ADMINISTRATOR)
    return shape(row)


def delete(call: Call, stream_id: str) -> None:
    manage.delete(_find(stream_id), actor=call.actor, at=call.at, by=manage.SetBy.ADMINISTRATOR)


def _find(stream_id: str, *, locked: bool = False) -> EventStream:
    return webhooks.find(stream_id, "lst_", "log_stream", as_events=False, locked=locked)


def _read_start(reader: BodyReader, row: EventStream) -> None:
    """What was before is told once more, as far as the trail has it."""
    if (said := reader.text("startFrom", longest=50)) is None:
        return
    if (since := moment(said)) is None:
        reader.problem("startFrom", "is a time like 2026-11-30T09:00:00Z")
    else:
        row.after = min(row.after, history.last_before(since))


def _read(reader: BodyReader, row: EventStream) -> bool:
    """What the body says, into the row; whether it says how requests are authorized."""
    if (name := reader.text("name", longest=rules.LONGEST_NAME)) is not None:
        row.name = name
    if reader.boolean("isPriority"):
        reader.problem("isPriority", "every stream is told in its order, none before the others")
    if reader.has("filters"):
        row.events = _filters(reader)
    sink = reader.inner("sink")
    if sink is None:
        return False
    if (endpoint := webhooks.read_endpoint(sink, "httpEndpoint")) is not None:
        row.endpoint = endpoint
    if said := sink.choice("httpContentFormat", FORMATS):
        row.body_format = FORMATS[said]
    kind = sink.text("httpContentType")
    if kind not in (
        None,
        JSON,
        _TYPES[row.body_format],
    ):  # Auth0's tools say JSON of lines too; the answer says what is sent
        sink.problem("httpContentType", f"is {_TYPES[row.body_format]} for this httpContentFormat")
    authorization = sink.text("httpAuthorization", longest=rules.LONGEST_SECRET)
    webhooks.check_header(sink, "httpAuthorization", authorization)
    if sink.anything("httpCustomHeaders"):
        sink.problem("httpCustomHeaders", "no header is sent but httpAuthorization")
    sink.done()
    if authorization is not None:
        row.authorization = manage.seal(row, "authorization", authorization)
    return authorization is not None


def _filters(reader: BodyReader) -> list[str]:
    found = []
    for one in reader.each("filters"):
        one.choice("type", ("category",))
        name = one.text("name", required=True)
        one.done()
        webhooks.check_type(one, "name", name)
        found.append(name or "")
    return list(dict.fromkeys(found))


ONE = "log-streams/<str:stream_id>"
OPERATIONS = (
    Operation("GET", "log-streams", ["read:log_streams"], list_streams, "Webhooks that are told what the trail says."),
    Operation("POST", "log-streams", ["create:log_streams"], create,
              "One more, of `type` http; with `read:logs`. The secret of its signatures is in this answer only."),
    Operation("GET", ONE, ["read:log_streams"], get, "One.", query=FIELDS),
    Operation("PATCH", ONE, ["update:log_streams"], update, "Where to, which types, `status`: active, paused, suspended."),
    Operation("DELETE", ONE, ["delete:log_streams"], delete, "Delete it; what it was not told yet is not told.", 204),
)  # fmt: skip
