"""`manage.py import_users FILE --connection NAME`: people of a file in Auth0's format, and how far such jobs are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.utils import timezone

from idp.models import Connection
from idp.operations.terminal import operator
from sessions_app.models import ImportJob, JobStatus
from sessions_app.transfer import jobs
from sessions_app.transfer.jobs import CannotImport

SOME_FAILED = 2


class Command(BaseCommand):
    help = (
        "Import people into a database connection, from JSON or JSON lines in Auth0's format. A job that was stopped goes on where "
        f"it was, with the same command. Ends with code {SOME_FAILED} if a row became nobody, 1 if the file cannot be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--connection", required=True, help="Name or id of a database connection.")
        parser.add_argument(
            "--upsert", action="store_true", help="Update who is there already; without it they are errors."
        )
        parser.add_argument("--external-id", default="", help="A name of yours for the job.")
        parser.add_argument(
            "--json", action="store_true", help="The finished job as one JSON document, in Auth0's shape."
        )
        parser.add_argument("--actor", default=operator(), help="Who did it, for the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        named = options["connection"]
        connection = Connection.objects.filter(Q(name=named) | Q(public_id=named)).first()
        if connection is None:
            raise CommandError(f"There is no connection {named}.")
        try:
            with options["file"].open("rb") as file:
                job = self._run(connection, file, options)
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from None
        except CannotImport as refused:
            raise CommandError(str(refused)) from None
        self._say(job, as_json=options["json"])
        if job.status == JobStatus.FAILED:
            raise CommandError(f"{job.public_id} failed after row {job.done}: {job.reason}.")
        if job.failed:
            sys.exit(SOME_FAILED)

    def _run(self, connection: Connection, file: BinaryIO, options: dict[str, Any]) -> ImportJob:
        job = jobs.unfinished(connection, file, upsert=options["upsert"])
        if job is None:
            job = jobs.create(
                connection,
                file,
                upsert=options["upsert"],
                actor=options["actor"],
                at=timezone.now(),
                external_id=options["external_id"],
            )
        else:
            self.stderr.write(f"{job.public_id} goes on after row {job.done}.")
        jobs.run(job, file, tell=self._tell)
        return job

    def _tell(self, job: ImportJob) -> None:
        self.stderr.write(f"{job.public_id}: {job.done} rows, {job.failed} of them failed")

    def _say(self, job: ImportJob, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(jobs.document(job), ensure_ascii=False, indent=2))
            return
        self.stdout.write(
            f"{job.public_id} {job.status}: {job.inserted} new, {job.updated} updated, {job.failed} failed."
        )
        if job.failed:
            self.stdout.write(f"manage.py import_jobs {job.public_id} says which rows failed, and why.")
