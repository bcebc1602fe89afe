"""`manage.py told`: who was told of which sign-out, with which answer, and why somebody was not."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from idp.operations.terminal import table
from logout_app.evidence import report
from logout_app.evidence.document import document
from logout_app.evidence.report import Asked, Evidence, ToldBy
from logout_app.models import DeliveryState, LogoutEvent
from logout_app.operators import people
from logout_app.operators.people import NotFound

INCOMPLETE = 2
MOST_HOURS = 24 * 366 * 100
FINE = (DeliveryState.DELIVERED, DeliveryState.DROPPED)


class Command(BaseCommand):
    help = (
        "What applications were told of sign-outs, what they answered, and why one was not told. "
        f"Ends with code {INCOMPLETE} if one of them is not signed out, as far as is known."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "person",
            nargs="?",
            help="Address, name, user id, or the sid of a session. Of somebody deleted: the user id.",
        )
        parser.add_argument("--application", help="Name or client id.")
        parser.add_argument("--end", type=int, help="The number of one end.")
        parser.add_argument("--hours", type=int, default=24, help="How far to look back (24).")
        parser.add_argument("--all", action="store_true", help="Also who is signed out; without it only who is not.")
        parser.add_argument(
            "--json", action="store_true", help="The evidence as one JSON document, as the console gives it."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 < options["hours"] <= MOST_HOURS:
            raise CommandError(f"--hours is from 1 to {MOST_HOURS}.")
        at = timezone.now()
        try:
            found = report.report(self._asked(options))
        except NotFound as nobody:
            raise CommandError(str(nobody)) from None
        rows = [row for row in found.rows if options["end"] in (None, row.delivery.event_id)]
        wrong = [row for row in rows if row.delivery.state not in FINE]
        if options["json"]:
            self.stdout.write(json.dumps(document(found, at), ensure_ascii=False, indent=2))
        else:
            self._say(found, rows if options["all"] or options["end"] else wrong, len(rows))
        if wrong:
            sys.exit(INCOMPLETE)

    def _asked(self, options: dict[str, Any]) -> Asked:
        until = timezone.now() + timedelta(minutes=1)
        since = until - timedelta(hours=options["hours"], minutes=1)
        if options["end"] is not None:
            end = LogoutEvent.objects.filter(pk=options["end"]).first() if 0 < options["end"] < 2**63 else None
            if end is None:
                raise NotFound(f"There is no end #{options['end']}.")
            since, until = end.at, end.at + timedelta(microseconds=1)
        application = people.application(options["application"]) if options["application"] else None
        return Asked(since, until, self._sub(options["person"]), application)

    def _sub(self, typed: str | None) -> str:
        if not typed:
            return ""
        try:
            return people.person(typed).user_id
        except NotFound:
            if "|" in typed:
                return typed  # of somebody who is deleted; history keeps the id
            raise

    def _say(self, found: Evidence, rows: list[ToldBy], total: int) -> None:
        if rows:
            heading = ("end", "at (UTC)", "why", "person", "application", "by", "state", "tries", "answer")
            self.stdout.write(table(heading, [_line(row) for row in rows]))
        confirmed = sum(row.delivery.state in FINE for row in rows) if len(rows) == total else total - len(rows)
        self.stdout.write(f"{confirmed} of {total} are signed out.{'' if found.complete else ' There are older ones.'}")


def _line(row: ToldBy) -> tuple[str, ...]:
    one = row.delivery
    answer = " ".join(
        filter(None, (str(one.last_status or ""), one.last_reason if one.last_reason != str(one.last_status) else ""))
    )
    if one.state == DeliveryState.PENDING and one.attempts:
        answer += f" (again at {one.due_at:%H:%M:%S})"
    return (
        f"#{one.event_id}",
        f"{one.sign_out.at:%Y-%m-%d %H:%M:%S}",
        one.sign_out.initiator,
        row.person,
        f"{row.receiver} #{one.pk}",
        one.channel,
        one.state_in_words,
        str(one.attempts),
        answer.strip() or "none yet",
    )
