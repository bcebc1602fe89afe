"""`manage.py import_jobs [JOB]`: how far imports of people are, and which rows of one failed."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from idp.operations.terminal import plain, table
from sessions_app.models import ImportJob
from sessions_app.transfer import jobs, turns

MOST = 50


class Command(BaseCommand):
    help = f"The newest {MOST} imports of people; with a job's id the rows that became nobody, and why."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", nargs="?")
        parser.add_argument("--json", action="store_true", help="JSON lines, in Auth0's shape.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["job"]:
            self._errors(options["job"], as_json=options["json"])
        else:
            self._jobs(as_json=options["json"])

    def _jobs(self, *, as_json: bool) -> None:
        rows, at = ImportJob.objects.select_related("connection")[:MOST], timezone.now()
        if as_json:
            for job in rows:
                self.stdout.write(json.dumps(jobs.document(job), ensure_ascii=False))
            return
        lines = []
        for job in rows:
            status = f"stopped: nothing since {job.heard_at:%H:%M:%S} UTC" if turns.is_silent(job, at) else job.status
            counts = (str(number) for number in (job.done, job.inserted, job.updated, job.failed))
            lines.append(
                (job.public_id, str(job.connection or ""), status, *counts, f"{job.created_at:%Y-%m-%d %H:%M}")
            )
        self.stdout.write(
            table(("job", "connection", "status", "rows", "new", "updated", "failed", "begun (UTC)"), lines)
        )

    def _errors(self, name: str, *, as_json: bool) -> None:
        job = ImportJob.objects.filter(public_id=name).first()
        if job is None:
            raise CommandError(f"There is no job {name}.")
        for found in jobs.errors(job):
            if as_json:
                self.stdout.write(json.dumps(found, ensure_ascii=False))
                continue
            who = found["user"].get("email") or found["user"].get("username") or "nobody"
            for error in found["errors"]:
                self.stdout.write(plain(f"row {found['row']} ({who}): {error['code']}: {error['message']}"))
