"""`manage.py export_users [FILE]`: people in Auth0's format, as JSON lines or CSV."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.utils import timezone

from idp.models import Connection
from idp.operations.terminal import operator
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.transfer import exporting
from sessions_app.transfer.exporting import Column

FORMATS = {"json": exporting.as_json, "csv": exporting.as_csv}


class Command(BaseCommand):
    help = "Write people in Auth0's format, to FILE (which only you may read) or to standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help="A file that is not there yet.")
        parser.add_argument("--connection", help="Name or id: only people with an account of this connection.")
        parser.add_argument(
            "--format", choices=FORMATS, default="json", help="JSON lines (which import_users reads) or CSV."
        )
        parser.add_argument(
            "--fields",
            default="",
            help=f"Names with commas between them, of {', '.join(exporting.FIELDS)}, or what is in one of them, like user_metadata.country.",
        )
        parser.add_argument(
            "--hashes",
            action="store_true",
            help="With hashes of passwords and keys of second factors, so that import_users makes the same people. "
            "Whoever has such a file can try passwords, and needs no telephone.",
        )
        parser.add_argument("--actor", default=operator(), help="Who did it, for the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        fields = [Column(name.strip()) for name in options["fields"].split(",") if name.strip()]
        if unknown := [column.name for column in fields if not column.is_known]:
            raise CommandError(f"There is no field {unknown[0]}.")
        if options["hashes"] and (options["format"] != "json" or fields):
            raise CommandError("--hashes is of whole people in JSON lines.")
        connection = self._connection(options["connection"])
        data = {"format": options["format"], "hashes": options["hashes"]}
        trail.record(
            EventType.PEOPLE_EXPORTED, connection=connection, actor=options["actor"], at=timezone.now(), data=data
        )
        found = exporting.people(connection, hashes=options["hashes"])
        self._write(options["file"], FORMATS[options["format"]](found, fields))

    def _connection(self, named: str | None) -> Connection | None:
        if not named:
            return None
        row = Connection.objects.filter(Q(name=named) | Q(public_id=named)).first()
        if row is None:
            raise CommandError(f"There is no connection {named}.")
        return row

    def _write(self, path: Path | None, lines: Any) -> None:
        if path is None:
            for line in lines:
                self.stdout.write(line, ending="")
            return
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
