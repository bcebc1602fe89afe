"""What log streams and event streams have in common: both are webhooks, and whoever says where lines of the trail go may read
them too (`read:logs`)."""

from __future__ import annotations

from idp.crypto.sealing import CannotUnseal, unseal
from idp.protocol import uris
from idp.tenants.reader import Reader
from logout_app.api.frame import delegation
from logout_app.api.frame.errors import ApiError, not_found
from logout_app.api.frame.operations import Call
from logout_app.delivery.channels.streams import sealed_for
from logout_app.models import EventStream, StreamKind, Webhook
from logout_app.streams import manage, rules
from sessions_app.audit import history
from sessions_app.audit.events import EventType

NEEDED = "read:logs"


def new(call: Call, *, as_events: bool) -> EventStream:
    """From now on."""
    return Webhook(
        kind=StreamKind.WEBHOOK,
        public_id=manage.new_public_id(),
        as_events=as_events,
        after=history.newest(),
        created_at=call.at,
    )


def check(call: Call) -> None:
    delegation.refuse_lacking(call, NEEDED)


def find(stream_id: str, prefix: str, what: str, *, as_events: bool, locked: bool = False) -> EventStream:
    rows = EventStream.objects.filter(kind=StreamKind.WEBHOOK, as_events=as_events)
    rows = rows.select_for_update(no_key=True) if locked else rows
    row = rows.filter(public_id=stream_id.removeprefix(prefix)).first()
    if row is None:
        raise not_found(what)
    return row


def make(call: Call, row: EventStream) -> str:
    """The secret of its signatures, which nobody is shown again. Raises ApiError 409 where there are too many."""
    if not rules.room(StreamKind.WEBHOOK):
        raise ApiError(409, f"There are {rules.MOST} webhooks, and no more may be made: delete one first", "conflict")
    secret = manage.new_webhook_secret()
    row.secret = manage.seal(row, "secret", secret)
    row.name = (
        row.name or uris.origin(row.endpoint)[: rules.LONGEST_NAME]
    )  # the trail tells names, and a query may hold a secret
    row.save(force_insert=True)
    manage.tell(row, "made", actor=call.actor, at=call.at, facts=call.caller.facts)
    return secret


def change(call: Call, row: EventStream) -> None:
    row.save()
    manage.tell(row, "changed", actor=call.actor, at=call.at, facts=call.caller.facts)


def read_endpoint(reader: Reader, key: str) -> str | None:
    endpoint = reader.text(key)
    if endpoint is not None and (why := rules.endpoint_problem(endpoint)):
        reader.problem(key, f"nothing can be sent there: {why}")
    return endpoint


def check_header(reader: Reader, key: str, value: str | None) -> None:
    if value and (why := rules.header_problem(value)):
        reader.problem(key, why)


def check_type(reader: Reader, key: str, name: str | None) -> None:
    if name is not None and name not in set(EventType):
        reader.problem(key, "is no type of the audit trail")


def authorization(row: EventStream) -> str | None:
    """The header that its requests have; None: it was sealed with a key that is gone."""
    try:
        return unseal(row.authorization, sealed_for(row, "authorization")) if row.authorization else ""
    except CannotUnseal:
        return None
