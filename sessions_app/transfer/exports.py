"""Exports as jobs: begun, written part by part by the workers, and downloaded by a link that works for a minute.

The file is gzip, each part a member of it (RFC 1952 section 2.2), so that no process ever holds all the people. It is in the
database, where every web process finds it, until a day after it is complete.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from django.conf import settings
from django.core import signing
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from idp.models import Connection, User
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import ExportJob, ExportPart, JobStatus
from sessions_app.transfer import exporting, turns
from sessions_app.transfer.exporting import Column

log = structlog.get_logger(__name__)
FORMATS = ("json", "csv")
PART = 250  # people: what is written of them may be long
KEPT_FOR = timedelta(days=1)
LINK_FOR = timedelta(minutes=1)
LARGEST = 16 * 2**20  # bytes: a web process holds what it sends
TOO_LARGE = "the file is larger than 16 MB: choose a connection, fields or a limit, or use manage.py export_users"
_signer = signing.Signer(salt="curfew.export")


@dataclass(frozen=True, slots=True)
class WantedExport:
    """`connection`: None for everybody. No `columns`: all there are, or in CSV the usual ones."""

    connection: Connection | None
    format: str
    columns: Sequence[Column] = ()
    limit: int | None = None


def create(wanted: WantedExport, *, actor: str, at: datetime) -> ExportJob:
    """In the caller's transaction, with its line of the trail."""
    there = exporting.count(wanted.connection)
    job = ExportJob.objects.create(
        connection=wanted.connection,
        format=wanted.format,
        fields=[[column.name, column.title] for column in wanted.columns],
        limit=wanted.limit,
        total=there if wanted.limit is None else min(there, wanted.limit),
        actor=actor,
        created_at=at,
        heard_at=at,
    )
    data = {"format": wanted.format, "hashes": False, "job": job.public_id}
    trail.record(EventType.PEOPLE_EXPORTED, connection=wanted.connection, actor=actor, at=at, data=data)
    return job


def run_waiting(at: datetime) -> None:
    for job in turns.claimed(ExportJob.objects.select_related("connection"), at):
        deadline = monotonic() + turns.SECONDS
        while _write(job, timezone.now()):
            if monotonic() > deadline:
                ExportJob.objects.filter(pk=job.pk, done=job.done).update(status=JobStatus.PENDING)  # its next turn
                break


def find(public_id: str, at: datetime) -> ExportJob | None:
    """As long as its file is kept."""
    job = ExportJob.objects.select_related("connection").filter(public_id=public_id).first()
    return None if job is None or (job.finished_at and job.finished_at <= at - KEPT_FOR) else job


def link(job: ExportJob, at: datetime) -> str:
    key = _signer.sign_object([job.public_id, int((at + LINK_FOR).timestamp())])
    return f"{settings.ISSUER_ORIGIN}{reverse('exported_people', kwargs={'key': key})}"


def linked(key: str, at: datetime) -> ExportJob | None:
    """The job of a link. None: it is none of ours, too old, or the file is gone."""
    try:
        public_id, until = _signer.unsign_object(key)
    except (signing.BadSignature, ValueError):  # what is signed is ours, what is not may be anything
        return None
    job = find(public_id, at) if datetime.fromtimestamp(until, UTC) > at else None
    return job if job and job.status == JobStatus.COMPLETED else None


def document(job: ExportJob) -> dict[str, Any]:
    """In Auth0's shape, without where the file is."""
    found: dict[str, Any] = {
        "type": "users_export",
        "id": job.public_id,
        "status": job.status,
        "created_at": job.created_at.isoformat().replace("+00:00", "Z"),
        "connection": job.connection.name if job.connection else None,
        "connection_id": job.connection.public_id if job.connection else None,
        "format": job.format,
        "percentage_done": 100 if job.status == JobStatus.COMPLETED else _percentage(job),
    }
    found |= {"limit": job.limit} if job.limit is not None else {}
    named = [{"name": name} | ({"export_as": title} if title else {}) for name, title in job.fields]
    found |= {"fields": named} if named else {}
    return found | ({"status_details": job.reason} if job.reason else {})


def _percentage(job: ExportJob) -> int:
    return min(99, job.done * 100 // job.total) if job.total else 0


def _write(job: ExportJob, at: datetime) -> bool:
    """The next part; whether there may be more. One that another process wrote meanwhile is that one's."""
    most = PART if job.limit is None else min(PART, job.limit - job.done)
    people = exporting.step(job.connection, job.last, most) if most else []
    content = gzip.compress(_text(job, people, is_first=not job.done).encode(), mtime=0)
    is_over, before = len(people) < PART, job.done
    changes: dict[str, Any] = {"status": JobStatus.PROCESSING, "heard_at": at, "size": job.size + len(content)}
    changes |= {"done": job.done + len(people), "last": people[-1].pk if people else job.last}
    if changes["size"] > LARGEST:
        changes |= {"status": JobStatus.FAILED, "finished_at": at, "reason": TOO_LARGE}
    elif is_over:
        changes |= {"status": JobStatus.COMPLETED, "finished_at": at}
    with transaction.atomic():
        if not ExportJob.objects.filter(pk=job.pk, done=before, finished_at=None).update(**changes):
            return False
        if changes["status"] == JobStatus.FAILED:
            job.parts.all().delete()
        else:
            ExportPart.objects.create(job=job, number=before, content=content)
    for name, value in changes.items():
        setattr(job, name, value)
    if job.finished_at is not None:
        log.info("people.exported", job=job.public_id, people=job.done, status=job.status)
    return job.finished_at is None


def _text(job: ExportJob, people: Sequence[User], *, is_first: bool) -> str:
    columns = [Column(name, title) for name, title in job.fields]
    found = (exporting.document(user) for user in people)
    if job.format == "csv":
        return "".join(exporting.as_csv(found, columns, heading=is_first))
    return "".join(exporting.as_json(found, columns))
