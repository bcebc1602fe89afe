"""Webhooks as Auth0's event streams of type `webhook`, with what became of each event. What is sent is a line of the trail
(docs/webhooks.md), and its types are the trail's; of Auth0's names those are understood that mean one of them.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet

from idp.tenants.reader import Reader
from logout_app.api.frame import body, paging
from logout_app.api.frame.errors import ApiError, invalid_query, not_found
from logout_app.api.frame.operations import CHECKPOINTS, Call, Operation
from logout_app.api.frame.query import moment
from logout_app.api.frame.times import iso
from logout_app.api.tenant import webhooks
from logout_app.delivery import redeliver
from logout_app.models import DeliveryAttempt, DeliveryState, EventStream, StreamItem, StreamKind, StreamState
from logout_app.streams import manage, rules
from sessions_app.audit.events import EventType

WEBHOOK = "webhook"
ELSEWHERE = ("eventbridge", "action")  # destinations that Auth0 has
# Auth0's name -> the type of the trail that means the same.
AUTH0 = {"user.deleted": EventType.ACCOUNT_DELETED.value, "group.deleted": EventType.GROUP_DELETED.value}
_AUTH0_OF = {ours: theirs for theirs, ours in AUTH0.items()}
STATES = (StreamState.ENABLED, StreamState.DISABLED, StreamState.PAUSED)  # the last is ours
BEARER, BASIC, CUSTOM = "bearer", "basic", "custom_header"
HEADER = "Authorization"
FAILED = "failed"
STATUS = {DeliveryState.DEAD.value: FAILED}  # as Auth0 calls it; the others are ours
STATUSES = (FAILED, DeliveryState.PENDING.value, DeliveryState.DELIVERED.value, DeliveryState.DROPPED.value)
MOST_AGAIN = 1000


def shape(row: EventStream) -> dict[str, Any]:
    configuration = {"webhook_endpoint": row.endpoint, "webhook_authorization": _authorization(row)}
    return {
        "id": f"est_{row.public_id}",
        "name": row.name,
        "subscriptions": [{"event_type": _AUTH0_OF.get(name, name)} for name in row.events],
        "destination": {"type": WEBHOOK, "configuration": configuration},
        "status": row.status,
        "created_at": iso(row.created_at),
    }


def _authorization(row: EventStream) -> dict[str, str]:
    """How requests are authorized, without the secret of it."""
    header = webhooks.authorization(row) or ""
    scheme, _, rest = header.partition(" ")
    if scheme == "Bearer":
        return {"method": BEARER}
    if scheme == "Basic" and (username := _username(rest)) is not None:
        return {"method": BASIC, "username": username}
    return {"method": CUSTOM, "header_key": HEADER}


def _username(credentials: str) -> str | None:
    """None: it is no name with a password, and may be a secret as a whole."""
    try:
        name, colon, _ = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name if colon else None


def list_streams(call: Call) -> Any:
    return paging.checkpoints(
        call, EventStream.objects.filter(kind=StreamKind.WEBHOOK, as_events=True), "eventStreams", shape
    )


def get(call: Call, stream_id: str) -> Any:
    return shape(_find(stream_id))


def create(call: Call) -> Any:
    """From now on. The secret of the signatures is in this answer and in no other."""
    row = webhooks.new(call, as_events=True)
    with body.reading(call.body) as reader:
        row.status = reader.choice("status", STATES) or StreamState.ENABLED
        _read(reader, row)
        needed = {
            "subscriptions": row.events,
            "destination.configuration.webhook_endpoint": row.endpoint,
            "destination.configuration.webhook_authorization": row.authorization,
        }
        for key in [key for key, value in needed.items() if not value and not reader.problems]:
            reader.problem(key, "is missing")
    webhooks.check(call)
    row.halted = row.status != StreamState.ENABLED
    secret = webhooks.make(call, row)
    found = shape(row)
    found["destination"]["configuration"]["signature_secret"] = secret
    return found


def update(call: Call, stream_id: str) -> Any:
    row = _find(stream_id, locked=True)
    with body.reading(call.body) as reader:
        status = reader.choice("status", STATES)
        before, authorized = row.endpoint, row.authorization
        _read(reader, row)
        if row.endpoint != before and row.authorization == authorized:
            place = "destination.configuration.webhook_authorization"
            reader.problem(place, "must be given with a new webhook_endpoint: the old one is not sent there")
        if not row.events:
            reader.problem("subscriptions", "is empty: nothing would be told")
    if call.body.keys() - {"status"}:
        webhooks.check(call)
        webhooks.change(call, row)
    if status:
        manage.set_status(row, status, "", actor=call.actor, at=call.at, by=manage.SetBy.ADMINISTRATOR)
    return shape(row)


def delete(call: Call, stream_id: str) -> None:
    manage.delete(_find(stream_id), actor=call.actor, at=call.at, by=manage.SetBy.ADMINISTRATOR)


def test(call: Call, stream_id: str) -> Any:
    """A line of the type `test`, which concerns nobody, whatever type is asked for."""
    row = _find(stream_id)
    with body.reading(call.body) as reader:
        _type(reader)
        if reader.mapping("data"):
            reader.problem("data", "a test event tells of nothing: leave it out")
    manage.send_verification(row, None, call.at)
    item = _items(row).filter(type=manage.TEST).order_by("-pk").first()
    return None if item is None else delivery(row, item)


def _find(stream_id: str, *, locked: bool = False) -> EventStream:
    return webhooks.find(stream_id, "est_", "event_stream", as_events=True, locked=locked)


def _read(reader: Reader, row: EventStream) -> None:
    """What the body says, into the row."""
    if (name := reader.text("name", longest=rules.LONGEST_NAME)) is not None:
        row.name = name
    if reader.has("subscriptions"):
        row.events = list(dict.fromkeys(_subscribed(one) for one in reader.each("subscriptions")))
    destination = reader.inner("destination")
    if destination is None:
        return
    kind = destination.choice("type", (WEBHOOK, *ELSEWHERE))
    if kind in ELSEWHERE:
        destination.anything("configuration")
        destination.problem("type", f"events are sent to a webhook only, not by {kind}")
    elif (configuration := destination.inner("configuration")) is not None:
        _read_configuration(configuration, row)
    destination.done()


def _subscribed(one: Reader) -> str:
    name = _type(one)
    one.done()
    return name or ""


def _type(reader: Reader) -> str | None:
    name = reader.text("event_type", required=True)
    ours = AUTH0.get(name, name) if name else None
    webhooks.check_type(reader, "event_type", ours)
    return ours


def _read_configuration(configuration: Reader, row: EventStream) -> None:
    if (endpoint := webhooks.read_endpoint(configuration, "webhook_endpoint")) is not None:
        row.endpoint = endpoint
    said = configuration.inner("webhook_authorization")
    if said is not None and (header := _header(said, _authorization(row) if row.authorization else {})):
        webhooks.check_header(said, "method", header)
        row.authorization = manage.seal(row, "authorization", header)
    configuration.done()


def _header(said: Reader, stored: dict[str, str]) -> str | None:
    """None where the secret is left out of what is stored anyway: tools write back what they read."""
    method = said.choice("method", (BEARER, BASIC, CUSTOM))
    if method is None and not said.has("method"):
        said.problem("method", "is missing")
    longest = rules.LONGEST_SECRET
    names = {BEARER: ("token",), BASIC: ("username", "password"), CUSTOM: ("header_key", "header_value")}.get(
        method or "", ()
    )
    given = {name: said.text(name, longest=longest) for name in names}
    said.done()
    secret = given[names[-1]] if names else None
    if names and secret is None and {"method": method, **{name: given[name] for name in names[:-1]}} != stored:
        said.problem(names[-1], "is missing")
    if method == CUSTOM and str(given["header_key"]).lower() != HEADER.lower():
        said.problem("header_key", f"only {HEADER} is sent here")
    if method == BASIC and (not given["username"] or ":" in given["username"]):
        said.problem("username", "is missing, or has a colon")
    if secret is None or method is None:
        return None
    match method:
        case "bearer":
            return f"Bearer {secret}"
        case "basic":
            credentials = f"{given['username']}:{secret}"
            return f"Basic {base64.b64encode(credentials.encode()).decode()}"
    return secret


# --- what became of its events -------------------------------------------------------------------------------------------
def list_deliveries(call: Call, stream_id: str) -> Any:
    row = _find(stream_id)
    rows = _chosen(call, _items(row))
    return paging.checkpoints(call, rows, "deliveries", lambda item: delivery(row, item), newest_first=True)


def get_delivery(call: Call, stream_id: str, event_id: str) -> Any:
    row = _find(stream_id)
    return delivery(row, _item(row, event_id))


def delivery(row: EventStream, item: StreamItem) -> dict[str, Any]:
    return {
        "id": item.jti,
        "event_stream_id": f"est_{row.public_id}",
        "status": STATUS.get(item.delivery.state, item.delivery.state),
        "event_type": _AUTH0_OF.get(item.type, item.type),
        "attempts": [_attempt(one) for one in item.delivery.attempt_log.all()],
    }


def _attempt(one: DeliveryAttempt) -> dict[str, Any]:
    found: dict[str, Any] = {
        "status": "delivered" if one.outcome == "delivered" else FAILED,
        "timestamp": iso(one.started_at),
        "duration": one.duration_ms,
    }
    return found | ({"error_message": one.reason} if one.reason else {})


def _items(row: EventStream) -> QuerySet[StreamItem]:
    attempts = Prefetch("delivery__attempt_log", DeliveryAttempt.objects.order_by("number"))
    return StreamItem.objects.filter(stream=row).select_related("delivery").prefetch_related(attempts)


def _item(row: EventStream, event_id: str) -> StreamItem:
    """The newest of this name: what is told again has the id that it had."""
    item = _items(row).filter(jti=event_id[:64]).order_by("-pk").first()
    if item is None:
        raise not_found("event")
    return item


def _chosen(call: Call, rows: QuerySet[StreamItem]) -> QuerySet[StreamItem]:
    if statuses := call.query.texts("statuses"):
        if unknown := sorted(set(statuses) - set(STATUSES)):
            raise invalid_query(f"'{unknown[0]} is none of {', '.join(STATUSES)}' on property statuses.")
        states = [DeliveryState.DEAD.value if status == FAILED else status for status in statuses]
        rows = rows.filter(delivery__state__in=states)
    if types := call.query.texts("event_types"):
        rows = rows.filter(type__in=[AUTH0.get(name, name) for name in types])
    return _between(rows, call.query.moment("date_from"), call.query.moment("date_to"))


def _between(rows: QuerySet[StreamItem], since: datetime | None, until: datetime | None) -> QuerySet[StreamItem]:
    rows = rows.filter(delivery__created_at__gte=since) if since else rows
    return rows.filter(delivery__created_at__lt=until) if until else rows


def redeliver_failed(call: Call, stream_id: str) -> Any:
    """What its receiver refused, the oldest first, with the ids that it had."""
    row = _find(stream_id)
    with body.reading(call.body) as reader:
        reader.texts("statuses", choices=(FAILED,))
        types = reader.texts("event_types")
        since, until = (_moment(reader, name) for name in ("date_from", "date_to"))
    rows = _between(StreamItem.objects.filter(stream=row, delivery__state=DeliveryState.DEAD), since, until)
    rows = rows.filter(type__in=[AUTH0.get(name, name) for name in types]) if types else rows
    redeliver.deliveries(list(rows.order_by("pk").values_list("delivery", flat=True)[:MOST_AGAIN]), at=call.at)
    found: dict[str, Any] = {"date_from": iso(since), "date_to": iso(until), "event_types": types}
    return {"statuses": [FAILED]} | {name: value for name, value in found.items() if value is not None}


def redeliver_one(call: Call, stream_id: str, event_id: str) -> None:
    item = _item(_find(stream_id), event_id)
    if item.delivery.state != DeliveryState.DEAD or not redeliver.deliveries([item.delivery_id], at=call.at):
        raise ApiError(409, "There is nothing to deliver again", "conflict")


def _moment(reader: Reader, key: str) -> datetime | None:
    said = reader.text(key, longest=50)
    found = moment(said) if said is not None else None
    if said is not None and found is None:
        reader.problem(key, "is a time like 2026-11-30T09:00:00Z")
    return found


ONE = "event-streams/<str:stream_id>"
READ, UPDATE = ["read:event_streams"], ["update:event_streams"]
OPERATIONS = (
    Operation("GET", "event-streams", READ, list_streams, "Webhooks that programs made as event streams.",
              query=CHECKPOINTS, listed="eventStreams"),
    Operation("POST", "event-streams", ["create:event_streams"], create,
              "One more, of `destination.type` webhook; with `read:logs`. The secret of its signatures is in this answer only.", 201),
    Operation("GET", ONE, READ, get, "One."),
    Operation("PATCH", ONE, UPDATE, update, "Where to, which types, `status`: enabled, disabled, or ours: paused."),
    Operation("DELETE", ONE, ["delete:event_streams"], delete, "Delete it; what it was not told yet is not told.", 204),
    Operation("POST", f"{ONE}/test", UPDATE, test, "Send it a test event, which concerns nobody.", 202),
    Operation("GET", f"{ONE}/deliveries", ["read:event_deliveries"], list_deliveries, "What became of its events, newest first.",
              query=(*CHECKPOINTS, "statuses", "event_types", "date_from", "date_to"), listed="deliveries"),
    Operation("GET", f"{ONE}/deliveries/<str:event_id>", ["read:event_deliveries"], get_delivery, "One, with every attempt."),
    Operation("POST", f"{ONE}/redeliver", ["update:event_deliveries"], redeliver_failed,
              f"Send what it refused again, the oldest {MOST_AGAIN:,}.", 202),
    Operation("POST", f"{ONE}/redeliver/<str:event_id>", ["update:event_deliveries"], redeliver_one,
              "Send one again that it refused.", 202),
)  # fmt: skip
