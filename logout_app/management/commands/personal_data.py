"""`manage.py personal_data PERSON`: everything that is kept about somebody."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from idp.operations.terminal import operator
from logout_app.evidence import personal
from logout_app.operators import people
from logout_app.operators.people import NotFound
from sessions_app.audit import trail
from sessions_app.audit.events import EventType


class Command(BaseCommand):
    help = "Write everything that is kept about a person as one JSON document to standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("person", help="Address, name, user id, or the sid of a session.")
        parser.add_argument("--actor", default=operator(), help="Who did it, for the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        try:
            person = people.person(options["person"])
        except NotFound as nobody:
            raise CommandError(str(nobody)) from None
        data = {"act": "Exported what is kept about a person", "object": "person", "id": str(person.pk)}
        trail.record(EventType.ADMINISTERED, user=person, actor=options["actor"], at=at, data=data)
        for piece in personal.document(person, at):
            self.stdout.write(piece, ending="")
