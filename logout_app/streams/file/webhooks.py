"""`logStreams` of the tenant file, in Auth0's names for those of type `http`: webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from idp.tenants.applied import Applied
from idp.tenants.file import sections
from idp.tenants.file.references import SecretNames
from idp.tenants.reader import Reader, given
from idp.tenants.schema import TenantFile
from logout_app.models import EventStream, StreamKind, StreamState
from logout_app.protocol.streams.webhooks import FORMATS as TYPES
from logout_app.streams import rules
from logout_app.streams.file import entries
from logout_app.streams.file.entries import StreamEntry

NAMED = "webhook"
HTTP = "http"
PREFIX = "lst_"
FORMATS = {"JSONOBJECT": "object", "JSONARRAY": "array", "JSONLINES": "lines"}
STATES = {"active": StreamState.ENABLED, "paused": StreamState.PAUSED, "suspended": StreamState.DISABLED}
PLACES = {
    "endpoint": "sink.httpEndpoint",
    "authorization": "sink.httpAuthorization",
    "secret": "sink.signatureSecret",
    "body_format": "sink.httpContentFormat",
    "events": "filters",
    "as_events": "asEventStream",
}
LEAST_SECRET = 24  # characters of what signs
_ROWS = EventStream.objects.filter(kind=StreamKind.WEBHOOK)


class LogStreams(sections.Section[StreamEntry]):
    key = "logStreams"

    def read(self, reader: Reader) -> StreamEntry:
        reader.choice("type", (HTTP,))
        name = reader.text("name", required=True, longest=rules.LONGEST_NAME)
        status = reader.choice("status", STATES)
        given_id = reader.text("id", check=lambda value: entries.id_problem(value.removeprefix(PREFIX)))
        columns, secrets = _sink(reader)
        entry = StreamEntry(
            path=reader.path,
            public_id=given_id and given_id.removeprefix(PREFIX),
            name=name,
            client=None,
            status=STATES[status].value if status else None,
            columns=given(name=name, as_events=reader.boolean("asEventStream"))
            | columns
            | given(events=_filters(reader)),
            secrets=secrets,
            places=PLACES,
        )
        reader.done()
        return entry

    def problems(self, entries_: Sequence[StreamEntry], file: TenantFile) -> Iterator[str]:
        yield from entries.problems(entries_, StreamKind.WEBHOOK, file)

    def apply(self, entry: StreamEntry, actor: str, at: datetime, *, is_rehearsal: bool) -> Applied:
        return entries.apply(entry, StreamKind.WEBHOOK, NAMED, actor, at, is_rehearsal=is_rehearsal)

    def prune(self, entries_: Sequence[StreamEntry], actor: str, at: datetime) -> Iterator[Applied]:
        yield from entries.prune(_ROWS.exclude(pk__in=entries.keys(entries_, StreamKind.WEBHOOK)), NAMED, actor, at)

    def export(self, secrets: SecretNames) -> list[dict[str, Any]]:
        return [_exported(row, secrets) for row in _ROWS.order_by("name", "public_id")]


def _sink(reader: Reader) -> tuple[dict[str, Any], dict[str, str]]:
    sink = reader.inner("sink")
    if sink is None:
        return {}, {}
    said = sink.choice("httpContentFormat", FORMATS)
    kind = sink.text("httpContentType")
    wanted = TYPES[FORMATS[said or "JSONOBJECT"]]
    if kind not in (None, wanted, TYPES["object"]):  # Auth0's tools say JSON of lines too
        sink.problem("httpContentType", f"is {wanted} for this httpContentFormat")
    authorization, signs = sink.secret("httpAuthorization"), sink.secret("signatureSecret")
    if authorization and (why := rules.header_problem(authorization)):
        sink.problem("httpAuthorization", why)
    if signs and len(signs) < LEAST_SECRET:
        sink.problem("signatureSecret", f"is shorter than {LEAST_SECRET} characters: leave it out, and one is made")
    columns = given(endpoint=sink.text("httpEndpoint"), body_format=FORMATS[said] if said else None)
    sink.done()
    return columns, given(authorization=authorization, secret=signs)


def _filters(reader: Reader) -> list[str] | None:
    """Types of the audit trail; what they are called is for the rulebook to say."""
    if not reader.has("filters"):
        return None
    found = []
    for one in reader.each("filters"):
        one.choice("type", ("category",))
        found.append(one.text("name", required=True) or "")
        one.done()
    return list(dict.fromkeys(found))


def _exported(row: EventStream, secrets: SecretNames) -> dict[str, Any]:
    called = {ours: theirs for theirs, ours in FORMATS.items()}
    sink: dict[str, Any] = {"httpEndpoint": row.endpoint, "httpContentFormat": called[row.body_format]}
    for column in ("authorization", "secret"):
        if getattr(row, column):
            key = PLACES[column].removeprefix("sink.")
            sink[key] = secrets.reference("webhook", row.name, column)
    status = next(theirs for theirs, ours in STATES.items() if ours == row.status)
    found = {
        "id": f"{PREFIX}{row.public_id}",
        "name": row.name,
        "type": HTTP,
        "status": status,
        "sink": sink,
        "filters": [{"type": "category", "name": name} for name in row.events],
    }
    return found | (
        {"asEventStream": True} if row.as_events else {}
    )  # ours: by the API it is one of Auth0's event streams


sections.bring(LogStreams())
