"""`manage.py doctor [--json]`: what is broken here, in sentences."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from logout_app.operators import doctor
from logout_app.operators.doctor import BROKEN, GOOD, WARNING

CODES = {GOOD: 0, WARNING: 2, BROKEN: 1}


class Command(BaseCommand):
    help = (
        "Ask clock, database, Redis, mail, keys, workers and queue how they are. Ends with code 0 if all is well, 1 if something "
        "is broken, 2 if something should be looked at."
    )
    requires_system_checks = ()  # what they find must not keep anybody from asking

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="One JSON document.")

    def handle(self, *args: Any, **options: Any) -> None:
        levels = set()
        rows = []
        for found in doctor.examine(timezone.now):
            levels.add(found.level)
            rows.append(found.row)
            if not options["json"]:
                self.stdout.write(f"{found.level:<8} {found.topic}: {found.sentence}")
        worst = next((level for level in (BROKEN, WARNING) if level in levels), GOOD)
        if options["json"]:
            self.stdout.write(json.dumps({"status": worst, "findings": rows}, ensure_ascii=False, indent=2))
        if CODES[worst]:
            sys.exit(CODES[worst])
