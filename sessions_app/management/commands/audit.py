"""`manage.py audit verify` says whether the audit trail is what was sealed; `manage.py audit export` gives it to other programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from idp.operations.terminal import operator
from idp.tenants import configuration, rules
from sessions_app.audit import chain, forwarding, history, trail
from sessions_app.audit.events import EventType


class Command(BaseCommand):
    help = "Verify the seals of the audit trail, or write its lines for other programs."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        verify = acts.add_parser("verify", help="Compare the trail with its seals. Ends with code 1 if it differs.")
        verify.add_argument("--head", default="", help="A digest of the newest seal that was noted earlier.")
        verify.add_argument("--json", action="store_true", help="One JSON document.")
        export = acts.add_parser("export", help="Write lines, the oldest first.")
        export.add_argument("--format", choices=forwarding.FORMATS, default="json", help="JSON lines, or RFC 5424.")
        export.add_argument("--to", default="", help="tcp://host:port or tls://host:port; else standard output.")
        export.add_argument("--since", type=_moment, help="ISO 8601; what was before is left out.")
        export.add_argument("--until", type=_moment, help="ISO 8601; what is from then on is left out.")
        export.add_argument("--position", type=Path, help="A file that keeps how far it came, to go on from there.")
        export.add_argument("--follow", action="store_true", help="Go on with new lines until it is stopped.")
        export.add_argument("--actor", default=operator(), help="Who did it, for the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["act"] == "verify":
            self._verify(options)
        else:
            self._export(options)

    def _verify(self, options: dict[str, Any]) -> None:
        retention = rules.within(configuration.current().tenant, "history_retention_days")
        verdict = chain.verify(timezone.now(), retention_days=retention, noted=options["head"])
        self.stdout.write(json.dumps(verdict.row, indent=2) if options["json"] else _sentences(verdict))
        if verdict.problems:
            sys.exit(1)

    def _export(self, options: dict[str, Any]) -> None:
        if options["follow"] and options["until"]:
            raise CommandError("--follow has no end: leave --until out.")
        position = forwarding.Position(options["position"])
        try:
            after = position.read()
        except (ValueError, OSError) as error:
            raise CommandError(f"{options['position']} holds no position: {error}") from None
        if since := options["since"]:
            after = max(after, history.before_first_from(since))
        made = forwarding.FORMATS[options["format"]]
        data = {"act": f"Exported the audit trail as {options['format']}", "object": "audit trail", "id": ""}
        trail.record(EventType.ADMINISTERED, actor=options["actor"], at=timezone.now(), data=data)
        with self._taker(options["to"]) as write:
            for key, lines in forwarding.batches(after, until=options["until"], follow=options["follow"]):
                write([made(line) for line in lines if not since or line.row.at >= since])
                position.keep(key)

    @contextmanager
    def _taker(self, target: str) -> Iterator[Any]:
        """What takes messages; a batch is taken when it returns."""
        if not target:
            yield self._print
            return
        try:
            with forwarding.connect(target) as collector:
                yield partial(forwarding.send, collector)
        except ValueError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{target}: {error}") from None

    def _print(self, messages: list[bytes]) -> None:
        self.stdout.write("".join(f"{message.decode()}\n" for message in messages), ending="")
        self.stdout.flush()


def _moment(text: str) -> datetime:
    found = parse_datetime(text)
    if found is None:
        raise ValueError(text)
    return found if timezone.is_aware(found) else timezone.make_aware(found)


def _sentences(verdict: chain.TrailVerdict) -> str:
    counted = f"{verdict.lines} lines in {verdict.seals} seals, {verdict.unsealed} not sealed yet"
    purged = f", {verdict.purged} purged by their age" if verdict.purged else ""
    found = [f"ALTERED  {problem}" for problem in verdict.problems] or ["VERIFIED  Every line is what was sealed."]
    oldest = (
        f"Oldest sealed line: {verdict.oldest:%Y-%m-%d %H:%M} UTC" if verdict.oldest else "Oldest sealed line: none"
    )
    return "\n".join([*found, f"{counted}{purged}.", oldest, f"Newest seal: {verdict.head or 'none'}"])
