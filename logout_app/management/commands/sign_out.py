"""`manage.py sign_out PERSON`: end what somebody has, and tell the applications."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from idp.models import User
from idp.operations.terminal import is_confirmed, operator, plain
from idp.protocol.initiators import Initiator
from logout_app.ending import not_told
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import DeliveryState, LogoutDelivery
from logout_app.operators import people
from logout_app.operators.people import NotFound
from sessions_app.models import SSOSession


class Command(BaseCommand):
    help = (
        "End every session and refresh token of a person, also those with offline access, or one session, and tell the "
        "applications. Asks first. The account stays open."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("person", nargs="?", help="Address, name or user id.")
        parser.add_argument(
            "--session", metavar="SID", help="Only this session; refresh tokens with offline access stay."
        )
        parser.add_argument("--no-input", action="store_true", help="Do not ask.")
        parser.add_argument("--json", action="store_true", help="One JSON document; does not ask.")
        parser.add_argument(
            "--actor", default=operator(), help="Who did it, for the audit trail and the applications' record."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["person"]) == bool(options["session"]):
            raise CommandError("Give a person, or a session.")
        at = timezone.now()
        if options["session"]:
            session = SSOSession.objects.filter(sid=options["session"]).select_related("user").first()
            if session is None:
                raise CommandError(f"There is no session {options['session']}.")
            what, selection = f"one session of {session.user}", Selection.session(session.pk)
            left_out = not_told.sentences(not_told.in_session(session), Initiator.SESSION_REVOKED, whole_user=False)
        else:
            user = self._person(options["person"])
            what, selection = f"everything of {user} ({user.user_id})", Selection.user(user.pk)
            left_out = not_told.sentences(not_told.in_use_by(user, at), Initiator.SESSION_REVOKED, whole_user=True)
        self._ask(what, options)
        ended = end_sessions(
            selection,
            initiator=Initiator.SESSION_REVOKED,
            actor=options["actor"],
            at=at,
            offline_tokens=not options["session"],
        )
        self._say(len(ended.session_pks), ended.event.pk if ended.event else None, left_out, as_json=options["json"])

    def _person(self, typed: str) -> User:
        try:
            return people.person(typed)
        except NotFound as nobody:
            raise CommandError(str(nobody)) from None

    def _ask(self, what: str, options: dict[str, Any]) -> None:
        asks = not (options["no_input"] or options["json"])
        if asks and not is_confirmed(f"End {plain(what)}?"):
            raise CommandError("Nothing was done.")

    def _say(self, sessions: int, event: int | None, left_out: list[str], *, as_json: bool) -> None:
        told = LogoutDelivery.objects.filter(event=event).exclude(state=DeliveryState.NOT_TOLD).count() if event else 0
        if as_json:
            found = {"sessions": sessions, "end": event, "deliveries": told, "not_told": left_out}
            self.stdout.write(json.dumps(found, ensure_ascii=False, indent=2))
            return
        if event is None:
            self.stdout.write("Nothing was left to end.")
            return
        self.stdout.write(
            f"{sessions} session{'s' * (sessions != 1)} ended; {told} messages to applications (end #{event})."
        )
        for sentence in left_out:
            self.stdout.write(sentence)
        self.stdout.write(f"manage.py told --end {event} says what they answer.")
