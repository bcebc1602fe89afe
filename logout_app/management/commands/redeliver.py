"""`manage.py redeliver`: send again what was given up, and what waits now instead of later."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from idp.operations.terminal import operator
from logout_app.delivery import redeliver
from logout_app.operators import people
from logout_app.operators.people import NotFound
from sessions_app.audit import trail
from sessions_app.audit.events import EventType

HIGHEST = 2**63 - 1
ACT = "Redeliver"


class Command(BaseCommand):
    help = (
        "Send deliveries again: by their number (manage.py told names them), or everything that an application never took. "
        "Ends with code 1 if there was nothing to send."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("delivery", nargs="*", type=int, help="Numbers of deliveries.")
        parser.add_argument("--application", help="Name or client id: everything that was given up.")
        parser.add_argument("--json", action="store_true", help="One JSON document.")
        parser.add_argument("--actor", default=operator(), help="Who did it, for the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["delivery"]) == bool(options["application"]):
            raise CommandError("Give numbers of deliveries, or an application.")
        with transaction.atomic():
            if options["application"]:
                sent = self._of_application(options["application"], options["actor"])
            else:
                sent = self._these([pk for pk in options["delivery"] if 0 < pk <= HIGHEST], options["actor"])
        if options["json"]:
            self.stdout.write(json.dumps({"sent_again": sent}))
        elif sent:
            self.stdout.write(f"{sent} deliver{'y is' if sent == 1 else 'ies are'} sent again within a second.")
        if not sent:
            raise CommandError("Nothing was to be sent again: what was delivered, dropped or not told stays so.")

    def _these(self, pks: list[int], actor: str) -> int:
        at = timezone.now()
        sent = redeliver.deliveries(pks, at=at)
        for pk in pks if sent else ():
            data = {"act": ACT, "object": "logout delivery", "id": str(pk)}
            trail.record(EventType.ADMINISTERED, actor=actor, at=at, data=data)
        return sent

    def _of_application(self, typed: str, actor: str) -> int:
        try:
            application = people.application(typed)
        except NotFound as nobody:
            raise CommandError(str(nobody)) from None
        at = timezone.now()
        sent = redeliver.all_dead_of(application.pk, at=at)
        if sent:
            data = {"act": ACT, "object": "application", "id": str(application.pk)}
            trail.record(EventType.ADMINISTERED, application=application, actor=actor, at=at, data=data)
        return sent
