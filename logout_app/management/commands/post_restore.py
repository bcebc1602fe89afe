"""`manage.py post_restore`: what has to die after the database went back to an older state."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Exists, OuterRef
from django.utils import timezone

from idp.models import User
from idp.operations.terminal import is_confirmed
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from sessions_app.models import RefreshTokenFamily, SSOSession


class Command(BaseCommand):
    help = (
        "After an older state of the database was restored: end all sessions and offline tokens and tell the applications, "
        "because those that ended since are alive again. Nobody knows which."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-input", action="store_true", help="Do not ask.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["no_input"] and not is_confirmed("Sign everybody out of everything?"):
            raise CommandError("Nothing was done.")
        now, people, sessions = timezone.now(), 0, 0
        for user_pk in _people_with_something_alive():
            ended = end_sessions(
                Selection.user(user_pk),
                initiator=Initiator.SESSION_REVOKED,
                actor="system",
                at=now,
                offline_tokens=True,
            )
            people, sessions = people + 1, sessions + len(ended.session_pks)
        self.stdout.write(f"{sessions} sessions of {people} people ended, and their tokens with offline access.")


def _people_with_something_alive() -> list[int]:
    sessions = SSOSession.objects.filter(user=OuterRef("pk"), ended_at=None)
    families = RefreshTokenFamily.objects.filter(user=OuterRef("pk"), revoked_at=None)
    return list(User.objects.filter(Exists(sessions) | Exists(families)).order_by("pk").values_list("pk", flat=True))
