"""`sharedSignalsStreams` of the tenant file, which is ours: streams of Shared Signals, those that applications manage too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from idp.protocol.signal_events import CAEP, RISC
from idp.tenants.applied import Applied
from idp.tenants.file import sections
from idp.tenants.file.references import SecretNames
from idp.tenants.reader import Reader, given
from idp.tenants.schema import TenantFile
from logout_app.models import EventStream, StreamKind, StreamMethod, StreamState
from logout_app.protocol.streams import vocabulary as v
from logout_app.protocol.streams.requests import LONGEST_TEXT
from logout_app.streams import rules
from logout_app.streams.file import entries
from logout_app.streams.file.entries import StreamEntry

NAMED = "Shared Signals stream"
PLACES = {"authorization": "authorization_header"}
AS_IT_IS = ("audiences", "description", "algorithm", "subject_format", "subject_place", "older_names")
_ROWS = EventStream.objects.filter(kind=StreamKind.SSF)
_BY_NAME = {uri.removeprefix(CAEP).removeprefix(RISC): uri for uri in v.SUPPORTED}
_NAMES = {uri: name for name, uri in _BY_NAME.items()}


class SharedSignalsStreams(sections.Section[StreamEntry]):
    key = "sharedSignalsStreams"

    def read(self, reader: Reader) -> StreamEntry:
        events = reader.texts("events", check=_event_problem)
        authorization = reader.secret("authorization_header")
        if authorization and (why := rules.header_problem(authorization, LONGEST_TEXT)):
            reader.problem("authorization_header", why)
        name = reader.text("name", longest=rules.LONGEST_NAME)
        entry = StreamEntry(
            path=reader.path,
            public_id=reader.text("id", check=entries.id_problem),
            name=name,
            client=reader.text("client_id"),
            status=reader.choice("status", StreamState.values),
            columns=given(
                name=name,
                method=reader.choice("method", StreamMethod.values),
                endpoint=reader.text("endpoint"),
                audiences=reader.texts("audiences"),
                description=reader.text("description"),
                events=None if events is None else [_BY_NAME.get(each, each) for each in events],
                algorithm=reader.choice("algorithm", v.ALGORITHMS),
                subject_format=reader.choice("subject_format", v.SUBJECT_FORMATS),
                subject_place=reader.choice("subject_place", v.SUBJECT_PLACES),
                older_names=reader.boolean("older_names"),
            ),
            secrets=given(authorization=authorization),
            places=PLACES,
        )
        reader.done()
        return entry

    def problems(self, entries_: Sequence[StreamEntry], file: TenantFile) -> Iterator[str]:
        yield from entries.problems(entries_, StreamKind.SSF, file)

    def apply(self, entry: StreamEntry, actor: str, at: datetime, *, is_rehearsal: bool) -> Applied:
        return entries.apply(entry, StreamKind.SSF, NAMED, actor, at, is_rehearsal=is_rehearsal)

    def prune(self, entries_: Sequence[StreamEntry], actor: str, at: datetime) -> Iterator[Applied]:
        yield from entries.prune(_ROWS.exclude(pk__in=entries.keys(entries_, StreamKind.SSF)), NAMED, actor, at)

    def export(self, secrets: SecretNames) -> list[dict[str, Any]]:
        """Not of applications that registered themselves: they make their streams as they come."""
        rows = _ROWS.filter(application__registration=None).select_related("application")
        return [_exported(row, secrets) for row in rows.order_by("name", "public_id")]


def _event_problem(name: str) -> str | None:
    """A receiver may have asked for what there is not: the standard lets it, and the file must be able to say it again."""
    good = name in _BY_NAME or ":" in name
    return None if good else f"must be one of {', '.join(_BY_NAME)}, or the URI of an event"


def _exported(row: EventStream, secrets: SecretNames) -> dict[str, Any]:
    found: dict[str, Any] = {"id": row.public_id, "name": row.name, "method": row.method}
    if row.application is not None:
        found["client_id"] = row.application.client_id
    if row.method == StreamMethod.PUSH:
        found["endpoint"] = row.endpoint
    if row.authorization:
        found["authorization_header"] = secrets.reference("stream", row.name, "authorization")
    found["events"] = [_NAMES.get(uri, uri) for uri in row.events]
    return found | {name: getattr(row, name) for name in AS_IT_IS} | entries.status_of(row)


sections.bring(SharedSignalsStreams())
