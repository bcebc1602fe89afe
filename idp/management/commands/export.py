"""`manage.py export [FILE.yaml]`: write what is configured as a tenant file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from idp.tenants.file import export
from idp.tenants.file.references import SecretNames


class Command(BaseCommand):
    help = (
        "Write what is configured as a tenant file, to FILE or to standard output. Secrets are {env: NAME}; the names are "
        "listed on standard error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help="A file that is not there yet.")

    def handle(self, *args: Any, **options: Any) -> None:
        secrets = SecretNames()
        with transaction.atomic():
            text = export.text(secrets)
        self._write(options["file"], text)
        for name in secrets.used:
            self.stderr.write(f"Applying it needs {name} in the environment.")

    def _write(self, path: Path | None, text: str) -> None:
        if path is None:
            self.stdout.write(text, ending="")
            return
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
