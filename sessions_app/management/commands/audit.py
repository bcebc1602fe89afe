"""`manage.py audit verify [--head DIGEST] [--json]`: whether the audit trail is what was sealed."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from idp.tenants import configuration, rules
from sessions_app.audit import chain


class Command(BaseCommand):
    help = "Verify the seals of the audit trail. Ends with code 1 if a line was altered, added or taken away."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        verify = acts.add_parser("verify", help="Read the whole trail and compare it with its seals.")
        verify.add_argument("--head", default="", help="A digest of the newest seal that was noted earlier.")
        verify.add_argument("--json", action="store_true", help="One JSON document.")

    def handle(self, *args: Any, **options: Any) -> None:
        retention = rules.within(configuration.current().tenant, "history_retention_days")
        verdict = chain.verify(timezone.now(), retention_days=retention, noted=options["head"])
        self.stdout.write(json.dumps(verdict.row, indent=2) if options["json"] else _sentences(verdict))
        if verdict.problems:
            sys.exit(1)


def _sentences(verdict: chain.TrailVerdict) -> str:
    counted = f"{verdict.lines} lines in {verdict.seals} seals, {verdict.unsealed} not sealed yet"
    purged = f", {verdict.purged} purged by their age" if verdict.purged else ""
    found = [f"ALTERED  {problem}" for problem in verdict.problems] or ["VERIFIED  Every line is what was sealed."]
    oldest = (
        f"Oldest sealed line: {verdict.oldest:%Y-%m-%d %H:%M} UTC" if verdict.oldest else "Oldest sealed line: none"
    )
    return "\n".join([*found, f"{counted}{purged}.", oldest, f"Newest seal: {verdict.head or 'none'}"])
