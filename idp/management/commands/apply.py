"""`manage.py apply FILE.yaml [--dry-run] [--prune]`: make the database say what a tenant file says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from idp.tenants import apply as tenant
from idp.tenants.applied import Applied
from idp.tenants.file import lines
from idp.tenants.reader import TenantFileError

WOULD_CHANGE = 2


class Command(BaseCommand):
    help = (
        "Apply a tenant file (the shape of the Auth0 Deploy CLI, with users) and say what became different. "
        "Applying it twice changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--prune", action="store_true", help="Remove what the sections of the file do not name, without asking."
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help=f"Change nothing and say what would become different; ends with code {WOULD_CHANGE} if anything would, "
            "0 if nothing, 1 if the file is wrong.",
        )
        parser.add_argument("--json", action="store_true", help="Say it as one JSON document.")
        parser.add_argument("--actor", default=tenant.ACTOR, help="Who did it, for the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        outcomes = self._apply(options["file"], options)
        if options["json"]:
            self._say_json(outcomes, is_rehearsal=options["dry_run"])
        else:
            self._say(outcomes, is_rehearsal=options["dry_run"])
        if options["dry_run"] and any(outcome.is_change for outcome in outcomes):
            sys.exit(WOULD_CHANGE)

    def _apply(self, path: Path, options: dict[str, Any]) -> list[Applied]:
        try:
            return tenant.apply(
                path,
                at=timezone.now(),
                prune=options["prune"],
                actor=options["actor"],
                rehearsal=options["dry_run"],
            )
        except TenantFileError as error:
            found = "\n".join(f"  {problem}" for problem in lines.numbered(error.problems, path))
            raise CommandError(f"{path}: nothing was changed.\n{found}") from None

    def _say(self, outcomes: list[Applied], *, is_rehearsal: bool) -> None:
        for outcome in outcomes:
            self.stdout.write(str(outcome))
            for line in outcome.lines:
                self.stdout.write(line)
        if is_rehearsal:
            changed = sum(outcome.is_change for outcome in outcomes)
            self.stdout.write(f"Nothing was changed; {changed or 'none'} of these would be.")
        for warning in (warning for outcome in outcomes for warning in outcome.warnings):
            self.stderr.write(self.style.WARNING(f"warning: {warning}"))

    def _say_json(self, outcomes: list[Applied], *, is_rehearsal: bool) -> None:
        objects = [outcome.row for outcome in outcomes]
        changed = any(outcome.is_change for outcome in outcomes)
        found = {"dry_run": is_rehearsal, "changed": changed, "objects": objects}
        self.stdout.write(json.dumps(found, ensure_ascii=False, indent=2))
