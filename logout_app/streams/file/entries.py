"""What entries of both kinds of stream share: which row is meant, and how it becomes what the file says."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from idp.crypto import sealing
from idp.models import Application
from idp.tenants import changes
from idp.tenants.applied import Applied
from idp.tenants.changes import Difference
from idp.tenants.file import found
from idp.tenants.schema import TenantFile, refuse_twins
from logout_app.delivery.channels.streams import sealed_for
from logout_app.models import EventStream, StreamKind, StreamMethod, StreamState
from logout_app.streams import look, manage, rules
from sessions_app.audit import history

_ID = re.compile(r"[0-9a-f]{24,32}")


@dataclass(slots=True)
class StreamEntry:
    """`places`: what the file calls a column. `secrets`: by the column that holds them sealed."""

    path: str
    public_id: str | None
    name: str | None
    client: str | None  # name or client id of the application that manages it
    status: str | None
    columns: dict[str, Any]
    secrets: dict[str, str]
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def called(self) -> str:
        return self.name or self.client or self.public_id or ""

    def place(self, column: str) -> str:
        return f"{self.path}.{self.places.get(column, column)}"


def id_problem(value: str) -> str | None:
    return None if _ID.fullmatch(value) else "is no id of a stream: leave it out, and a new stream gets one"


def find(entry: StreamEntry, kind: StreamKind) -> EventStream | None:
    """The row of an entry, locked: by its id, else by the application that manages it, else by its name among those that none
    manages. Raises MultipleObjectsReturned for a name that several have."""
    rows = EventStream.objects.select_related("application").select_for_update(no_key=True, of=("self",))
    if entry.public_id:
        return rows.filter(public_id=entry.public_id).first()
    try:
        if entry.client:
            return rows.get(kind=kind, application=found.named(entry.client))
        return rows.get(kind=kind, application=None, name=entry.name or "")
    except (EventStream.DoesNotExist, Application.DoesNotExist):
        return None


def problems(entries: Sequence[StreamEntry], kind: StreamKind, file: TenantFile) -> Iterator[str]:
    twins: list[str] = []
    refuse_twins(list(entries), lambda entry: entry.public_id, "id", twins)
    refuse_twins(list(entries), lambda entry: entry.client, "client_id", twins)
    named = [entry for entry in entries if not entry.public_id and not entry.client]
    refuse_twins(named, lambda entry: entry.name, "name", twins)
    yield from twins
    if twins:
        return
    room = rules.room(kind)
    for entry in entries:
        wrong = list(_problems(entry, kind, file))
        yield from wrong
        room -= not wrong and not entry.client and find(entry, kind) is None
        if room < 0:
            yield f"{entry.path}: there would be more than {rules.MOST} of its kind"
            return


def _problems(entry: StreamEntry, kind: StreamKind, file: TenantFile) -> Iterator[str]:
    if entry.client and (reason := found.unknown_client(entry.client, file)):
        yield f"{entry.path}.client_id: {reason}"
        return
    try:
        row = find(entry, kind)
    except EventStream.MultipleObjectsReturned:
        yield f"{entry.path}.name: several streams are called {entry.name}: give the id"
        return
    if row is None and not entry.name:
        yield f"{entry.path}.name: is missing"
        return
    if row is not None and (row.kind != kind or not _is_of(row, entry)):
        yield f"{entry.path}.id: belongs to a stream of somebody else"
        return
    if row is None and entry.client and _has_another(entry):
        yield f"{entry.path}.client_id: the application has a stream of another id already"
        return
    will_be = _as_it_will_be(entry, row or EventStream(kind=kind))
    yield from (f"{entry.place(column)}: {reason}" for column, reason in rules.problems(will_be))
    if row and _would_tell_another(entry, row, will_be):
        yield f"{entry.place('authorization')}: must be given: another host would be told what the old one knows us by"


def _would_tell_another(entry: StreamEntry, row: EventStream, will_be: EventStream) -> bool:
    kept = bool(row.authorization) and "authorization" not in entry.secrets
    return kept and bool(will_be.endpoint) and rules.is_other_host(row.endpoint, will_be.endpoint)


def _is_of(row: EventStream, entry: StreamEntry) -> bool:
    """Whether the application that it names is the one that has it; an entry may name none."""
    if entry.client is None:
        return True
    return row.application is not None and entry.client in (row.application.client_id, row.application.name)


def _has_another(entry: StreamEntry) -> bool:
    rows = EventStream.objects.filter(kind=StreamKind.SSF)
    by_id = rows.filter(application__client_id=entry.client)
    return by_id.exists() or rows.filter(application__name=entry.client).exists()


def _as_it_will_be(entry: StreamEntry, row: EventStream) -> EventStream:
    """Not to be saved. An application that the file makes stands for the one that it will be."""
    will_be = copy.copy(row)
    if entry.client and will_be.application is None:
        will_be.application = Application(client_id=entry.client)
        will_be.audiences = [entry.client]
    for column, value in entry.columns.items():
        setattr(will_be, column, value)
    if will_be.method == StreamMethod.POLL and "endpoint" not in entry.columns:
        will_be.endpoint = ""
    return will_be


def apply(entry: StreamEntry, kind: StreamKind, named: str, actor: str, at: datetime, *, is_rehearsal: bool) -> Applied:
    """`named`: what such a stream is called in what is said."""
    row = find(entry, kind)
    if row is None:
        return _make(entry, kind, named, actor, at, is_rehearsal=is_rehearsal)
    changed = list(_change(row, entry, actor, at))
    barred = entry.status == StreamState.ENABLED and row.status != entry.status and not rules.may_run(row)
    warnings = (_not_granted(row),) if barred else ()
    return Applied(named, row.name, "updated" if changed else "unchanged", warnings=warnings, changes=tuple(changed))


def _not_granted(row: EventStream) -> str:
    return f"{row.application and row.application.name} has no client grant for Shared Signals: its stream is disabled"


def _make(entry: StreamEntry, kind: StreamKind, named: str, actor: str, at: datetime, *, is_rehearsal: bool) -> Applied:
    """From now on: what the trail says already is nobody's to hear who was not there."""
    row = EventStream(
        kind=kind,
        public_id=entry.public_id or manage.new_public_id(),
        application=found.named(entry.client) if entry.client else None,
        after=history.newest(),
        created_at=at,
        used_at=at,
    )
    if row.application is not None:
        row.audiences = [row.application.client_id]
    for column, value in entry.columns.items():
        setattr(row, column, value)
    if entry.status and entry.status != StreamState.ENABLED:
        row.status, row.halted = entry.status, True
    warnings: tuple[str, ...] = ()
    if not rules.may_run(row):
        row.status, row.reason = StreamState.DISABLED, rules.NOT_GRANTED
        warnings = (_not_granted(row),)
    note = "" if entry.public_id else f"id {row.public_id}"
    secrets = dict(entry.secrets)
    if kind == StreamKind.WEBHOOK and "secret" not in secrets:
        secrets["secret"] = manage.new_webhook_secret()
        note = ", ".join(filter(None, (note, f"the secret of its signatures {secrets['secret']}")))
    for column, secret in secrets.items():
        setattr(row, column, manage.seal(row, column, secret))
    row.save(force_insert=True)
    manage.tell(row, "made", actor=actor, at=at)
    if note and is_rehearsal:
        note = "what it is known by is made and shown when the file is applied"
    nothing = EventStream(kind=kind)
    changed = [*changes.differences(nothing, row, entry.columns), *_of_secrets(nothing, row, secrets)]
    return Applied(named, row.name, "created", note, warnings, tuple(changed))


def _change(row: EventStream, entry: StreamEntry, actor: str, at: datetime) -> Iterator[Difference]:
    """It keeps its place in the trail, also if what it wants to hear of is different now."""
    before = copy.copy(row)
    if entry.columns.get("method", row.method) != row.method:
        manage.take_back(row, at)
        row.endpoint = ""
    for column, value in entry.columns.items():
        setattr(row, column, value)
    for column, secret in entry.secrets.items():
        if not _opens_to(getattr(row, column), secret, sealed_for(row, column)):
            setattr(row, column, manage.seal(row, column, secret))
    fields = dict.fromkeys([*entry.columns, "endpoint"])
    changed = [*changes.differences(before, row, fields), *_of_secrets(before, row, entry.secrets)]
    if changed:
        row.save()
        manage.tell(row, "changed", actor=actor, at=at)
        yield from changed
    if _is_to_be_set(row, entry.status):
        old = row.status if row.halted or row.status == StreamState.ENABLED else f"{row.status}, by its receiver"
        manage.set_status(row, str(entry.status), "", actor=actor, at=at, by=manage.SetBy.ADMINISTRATOR)
        yield Difference("status", old, row.status)


def _is_to_be_set(row: EventStream, wanted: str | None) -> bool:
    """`enabled` takes back what an administrator said; what its receiver paused stays as that wants it."""
    if wanted is None:
        return False
    if wanted == StreamState.ENABLED:
        return row.status != wanted and (row.halted or row.application is None) and rules.may_run(row)
    return row.status != wanted or not row.halted


def prune(rows: QuerySet[EventStream], named: str, actor: str, at: datetime) -> Iterator[Applied]:
    """What a removed stream had not been told is told to nobody."""
    for row in rows.select_related("application").order_by("name", "public_id"):
        if row.application is not None:
            why = f"{row.application.name} manages it, until its client grant is taken away"
            yield Applied(named, row.name, "unchanged", why)
            continue
        waiting = look.health(row, at)
        what = "event" if waiting.waiting == 1 else "events"
        note = f"with {waiting.waiting_in_words} {what} that it was not told" if waiting.waiting else ""
        manage.delete(row, actor=actor, at=at, by=manage.SetBy.ADMINISTRATOR)
        yield Applied(named, row.name, "removed", note)


def keys(entries: Iterable[StreamEntry], kind: StreamKind) -> list[int]:
    """Of rows that the file names."""
    return [row.pk for row in (find(entry, kind) for entry in entries) if row is not None]


def status_of(row: EventStream) -> dict[str, str]:
    """What an administrator said. What a receiver made of its own stream is not ours to write down."""
    return {"status": row.status} if row.halted or row.application is None else {}


def _of_secrets(before: EventStream, after: EventStream, secrets: Iterable[str]) -> list[Difference]:
    return [
        changes.of_secret(column, held=bool(getattr(before, column)))
        for column in secrets
        if getattr(before, column) != getattr(after, column)
    ]


def _opens_to(envelope: str, secret: str, context: str) -> bool:
    try:
        return bool(envelope) and sealing.unseal(envelope, context) == secret
    except sealing.CannotUnseal:
        return False  # sealed with a key that is gone: the file brings the secret again
