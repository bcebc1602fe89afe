"""Jobs that workers run: whose turn it is, and which were left by a process that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import Q, QuerySet

from sessions_app.models import ExportJob, ImportJob, JobStatus

SILENT_AFTER = timedelta(minutes=2)  # a batch takes seconds
SECONDS = 20.0  # that a worker gives to a job at a time
MOST = 10  # jobs of one turn
Job = TypeVar("Job", ImportJob, ExportJob)


def claimed(rows: QuerySet[Job], at: datetime) -> Iterator[Job]:
    """Those that nobody runs, oldest first; each is the caller's from then on."""
    silent = Q(status=JobStatus.PROCESSING, heard_at__lt=at - SILENT_AFTER)
    for job in rows.filter(Q(status=JobStatus.PENDING) | silent).order_by("pk")[:MOST]:
        same = rows.filter(pk=job.pk, status=job.status, heard_at=job.heard_at)
        if same.update(status=JobStatus.PROCESSING, heard_at=at):
            job.status, job.heard_at = JobStatus.PROCESSING, at
            yield job


def is_silent(job: ImportJob | ExportJob, at: datetime) -> bool:
    """Whether the process that ran it is gone."""
    return job.status == JobStatus.PROCESSING and at - job.heard_at > SILENT_AFTER
