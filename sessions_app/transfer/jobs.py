"""Imports as jobs: begun, run batch by batch, taken up where a process that is gone left them, and told of.

Progress is written in the transaction of what was written: a job that is killed goes on with the row after the last that it
dealt with, whoever runs it next. Two that run the same job do not get past each other's batches.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from time import monotonic
from typing import Any, BinaryIO

import structlog
from django.db import transaction
from django.utils import timezone

from idp.connections.database import requires_username
from idp.models import Connection, Strategy
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import FailedRow, ImportJob, JobStatus
from sessions_app.transfer import reading, source, turns, writing
from sessions_app.transfer.source import BadSource

log = structlog.get_logger(__name__)
BATCH = 500  # rows
LARGEST_UPLOAD = 500 * 1024  # bytes, as at Auth0; files of any length are imported on the command line


MOST_WRONG = 10_000  # rows of an upload; each is written down


class CannotImport(Exception):
    """A sentence that says why."""


def create(
    connection: Connection,
    file: BinaryIO,
    *,
    upsert: bool,
    actor: str,
    at: datetime,
    external_id: str = "",
    is_upload: bool = False,
) -> ImportJob:
    """A job for this file. `is_upload`: the workers run it, from a copy; else whoever calls this does. Raises CannotImport."""
    if connection.strategy != Strategy.DATABASE:
        raise CannotImport(
            f"People of {connection.name} come from there when they sign in: only databases have people of ours."
        )
    digest = source.digest(file)
    upload = file.read(LARGEST_UPLOAD + 1) if is_upload else None
    if upload is not None and len(upload) > LARGEST_UPLOAD:
        raise CannotImport(f"The file is larger than {LARGEST_UPLOAD // 1024} KB.")
    return ImportJob.objects.create(
        connection=connection,
        upsert=upsert,
        external_id=external_id,
        digest=digest,
        upload=upload,
        actor=actor,
        created_at=at,
        heard_at=at,
    )


def unfinished(connection: Connection, file: BinaryIO, *, upsert: bool) -> ImportJob | None:
    """The job that stopped on the way with this file."""
    rows = ImportJob.objects.filter(connection=connection, upsert=upsert, upload=None, digest=source.digest(file))
    return rows.exclude(status__in=(JobStatus.COMPLETED, JobStatus.FAILED)).first()


def run(
    job: ImportJob,
    file: BinaryIO,
    *,
    tell: Callable[[ImportJob], None] = lambda _: None,
    seconds: float | None = None,
) -> bool:
    """Import what is not imported yet; whether the job is finished. `tell` hears of each batch. `seconds`: no batch begins later.

    Raises CannotImport if another process runs it.
    """
    deadline = None if seconds is None else monotonic() + seconds
    try:
        for batch in _batches(islice(enumerate(source.rows(file), start=1), job.done, None)):
            _write(job, batch, timezone.now())
            tell(job)
            if job.upload is not None and job.failed > MOST_WRONG:
                raise BadSource(f"more than {MOST_WRONG:,} rows are wrong: the rest was not looked at")
            if deadline is not None and monotonic() > deadline:
                return False
    except BadSource as bad:
        _finish(job, JobStatus.FAILED, timezone.now(), reason=str(bad)[:500])
        return True
    _finish(job, JobStatus.COMPLETED, timezone.now())
    return True


def run_waiting(at: datetime) -> int:
    """Uploads that nobody runs, for a while; how many were worked at."""
    done = 0
    for job in turns.claimed(ImportJob.objects.filter(upload__isnull=False), at):
        try:
            if not run(job, io.BytesIO(bytes(job.upload or b"")), seconds=turns.SECONDS):
                ImportJob.objects.filter(pk=job.pk).update(status=JobStatus.PENDING)  # its next turn
        except CannotImport:
            continue
        done += 1
    return done


def document(job: ImportJob) -> dict[str, Any]:
    """In Auth0's shape."""
    found: dict[str, Any] = {
        "type": "users_import",
        "id": job.public_id,
        "status": job.status,
        "created_at": job.created_at.isoformat().replace("+00:00", "Z"),
        "connection": job.connection.name if job.connection else None,
        "connection_id": job.connection.public_id if job.connection else None,
        "upsert": job.upsert,
        "summary": {
            "failed": job.failed,
            "updated": job.updated,
            "inserted": job.inserted,
            "total": job.done,
        },
    }
    found |= {"external_id": job.external_id} if job.external_id else {}
    return found | ({"status_details": job.reason} if job.reason else {})


def errors(job: ImportJob) -> Iterator[dict[str, Any]]:
    """In Auth0's shape: the row, without what opens an account, and what is wrong with it."""
    for row in job.errors.iterator(chunk_size=BATCH):
        yield error(row)


def error(row: FailedRow) -> dict[str, Any]:
    return {"row": row.row, "user": row.user, "errors": row.errors}


def _batches(rows: Iterator[tuple[int, Any]]) -> Iterator[list[tuple[int, Any]]]:
    """What can be read is imported, also where the file is broken behind it."""
    batch: list[tuple[int, Any]] = []
    try:
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except BadSource:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _write(job: ImportJob, batch: list[tuple[int, Any]], at: datetime) -> None:
    connection = Connection.objects.filter(pk=job.connection_id or 0).first()
    if connection is None:
        raise BadSource("the connection was deleted")
    needs_name = requires_username(connection)
    rows = [reading.read(number, raw, requires_username=needs_name) for number, raw in batch]
    before = job.done
    with transaction.atomic():
        # Programs upload: what they write signs nobody in as somebody with powers.
        written = writing.write(connection, rows, upsert=job.upsert, at=at, spares_powers=job.upload is not None)
        wrong = [row for row in rows if row.errors]
        FailedRow.objects.bulk_create(
            FailedRow(job=job, row=row.number, user=row.shown, errors=row.errors) for row in wrong
        )
        job.status, job.heard_at = JobStatus.PROCESSING, at
        job.done += len(rows)
        job.inserted += written.inserted
        job.updated += written.updated
        job.failed += len(wrong)
        progress = {
            name: getattr(job, name) for name in ("status", "heard_at", "done", "inserted", "updated", "failed")
        }
        if not ImportJob.objects.filter(pk=job.pk, done=before).update(**progress):
            raise CannotImport(f"Another process runs {job.public_id}.")


def _finish(job: ImportJob, status: JobStatus, at: datetime, *, reason: str = "") -> None:
    with transaction.atomic():
        rows = ImportJob.objects.filter(pk=job.pk, done=job.done, finished_at=None)
        if not rows.update(status=status, reason=reason, heard_at=at, finished_at=at, upload=None):
            raise CannotImport(f"Another process runs {job.public_id}.")
        data = {"job": job.public_id, "inserted": job.inserted, "updated": job.updated, "failed": job.failed}
        data |= {"reason": reason} if reason else {}
        trail.record(EventType.PEOPLE_IMPORTED, connection=job.connection, actor=job.actor, at=at, data=data)
    job.status, job.reason, job.finished_at = status, reason, at
    log.info("people.imported", **data, connection=job.connection.name if job.connection else None)
