"""Webhooks as Auth0's log streams of type `http`. Whoever says where lines of the trail go may read them too (`read:logs`)."""

from __future__ import annotations

from typing import Any

from idp.protocol import uris
from idp.protocol.jwt_profile import is_text
from logout_app.api.frame import body, delegation
from logout_app.api.frame.body import BodyReader
from logout_app.api.frame.errors import ApiError, not_found
from logout_app.api.frame.operations import FIELDS, Call, Operation
from logout_app.models import EventStream, StreamKind, StreamState, Webhook
from logout_app.streams import manage, rules
from sessions_app.audit import history
from sessions_app.audit.events import EventType

HTTP = "http"
FORMATS = {"JSONOBJECT": "object", "JSONARRAY": "array", "JSONLINES": "lines"}
_FORMAT_OF = {ours: theirs for theirs, ours in FORMATS.items()}
JSON = "application/json"
_TYPES = {"object": JSON, "array": JSON, "lines": "application/x-ndjson"}
STATES = {"active": StreamState.ENABLED, "paused": StreamState.PAUSED, "suspended": StreamState.DISABLED}
_STATE_OF = {ours.value: theirs for theirs, ours in STATES.items()}
LONGEST_SECRET = 500
NEEDED = "read:logs"


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
    return [shape(row) for row in EventStream.objects.filter(kind=StreamKind.WEBHOOK).order_by("pk")]


def get(call: Call, stream_id: str) -> Any:
    return shape(_find(stream_id))


def create(call: Call) -> Any:
    """From now on. The secret of the signatures is in this answer and in no other."""
    row = Webhook(kind=StreamKind.WEBHOOK, public_id=manage.new_public_id(), after=history.newest(), created_at=call.at)
    with body.reading(call.body) as reader:
        reader.choice("type", (HTTP,))
        reader.text("type", required=True)
        _read(reader, row)
        if not row.endpoint:
            reader.problem("sink.httpEndpoint", "is missing")
    _check(call)
    if not rules.room(StreamKind.WEBHOOK):
        raise ApiError(
            409, f"There are {rules.MOST} log streams, and no more may be made: delete one first", "conflict"
        )
    secret = manage.new_webhook_secret()
    row.secret = manage.seal(row, "secret", secret)
    row.name = row.name or uris.origin(row.endpoint)[:100]  # the trail tells names, and a query may hold a secret
    row.save(force_insert=True)
    manage.tell(row, "made", actor=call.actor, at=call.at, facts=call.caller.facts)
    found = shape(row)
    return found | {"sink": found["sink"] | {"signatureSecret": secret}}


def update(call: Call, stream_id: str) -> Any:
    row = _find(stream_id, locked=True)
    with body.reading(call.body) as reader:
        status = reader.choice("status", STATES)
        before = row.endpoint
        given = _read(reader, row)
        if row.endpoint != before and row.authorization and not given:
            reader.problem(
                "sink.httpAuthorization", "must be given with a new httpEndpoint: the old one is not sent there"
            )
    if call.body.keys() - {"status"}:
        _check(call)
        row.save()
        manage.tell(row, "changed", actor=call.actor, at=call.at, facts=call.caller.facts)
    if status:
        manage.set_status(row, STATES[status], "", actor=call.actor, at=call.at, by=manage.SetBy.ADMINISTRATOR)
    return shape(row)


def delete(call: Call, stream_id: str) -> None:
    manage.delete(_find(stream_id), actor=call.actor, at=call.at, by=manage.SetBy.ADMINISTRATOR)


def _check(call: Call) -> None:
    delegation.refuse_lacking(call, NEEDED)


def _find(stream_id: str, *, locked: bool = False) -> EventStream:
    rows = EventStream.objects.filter(kind=StreamKind.WEBHOOK)
    rows = rows.select_for_update(no_key=True) if locked else rows
    row = rows.filter(public_id=stream_id.removeprefix("lst_")).first()
    if row is None:
        raise not_found("log_stream")
    return row


def _read(reader: BodyReader, row: EventStream) -> bool:
    """What the body says, into the row; whether it says how requests are authorized."""
    if (name := reader.text("name", longest=100)) is not None:
        row.name = name
    if reader.boolean("isPriority"):
        reader.problem("isPriority", "every stream is told in its order, none before the others")
    if reader.has("filters"):
        row.events = _filters(reader)
    sink = reader.inner("sink")
    if sink is None:
        return False
    if (endpoint := sink.text("httpEndpoint")) is not None:
        if why := rules.endpoint_problem(endpoint):
            sink.problem("httpEndpoint", f"nothing can be sent there: {why}")
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
    authorization = sink.text("httpAuthorization", longest=LONGEST_SECRET)
    if authorization and not (is_text(authorization, LONGEST_SECRET) and authorization.isascii()):
        sink.problem("httpAuthorization", "is one line of ASCII characters")
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
        if name is not None and name not in set(EventType):
            one.problem("name", "is no type of the audit trail")
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
