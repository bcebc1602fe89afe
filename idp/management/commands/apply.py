"""`manage.py apply FILE.yaml [--prune]`: make the database say what a tenant file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from idp.tenants import apply as tenant
from idp.tenants.reader import TenantFileError


class Command(BaseCommand):
    help = "Apply a tenant file (the shape of the Auth0 Deploy CLI, with users). Applying it twice changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--prune", action="store_true", help="Remove what the sections of the file do not name, without asking."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcomes = tenant.apply(options["file"], at=timezone.now(), prune=options["prune"])
        except TenantFileError as error:
            lines = "\n".join(f"  {problem}" for problem in error.problems)
            raise CommandError(f"{options['file']}: nothing was changed.\n{lines}") from None
        for outcome in outcomes:
            self.stdout.write(str(outcome))
        for warning in (warning for outcome in outcomes for warning in outcome.warnings):
            self.stderr.write(self.style.WARNING(f"warning: {warning}"))
