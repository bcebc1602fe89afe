"""Stands in the place of django-oauth-toolkit's command of the same name, which would delete living refresh tokens."""

from itertools import chain
from time import sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from logout_app.ending import purging
from sessions_app.session import purge
from sessions_app.session.batches import PurgeAct

ASK_AGAIN = 1.0  # seconds


class Command(BaseCommand):
    help = "Delete tokens, codes and families that are dead for good. The worker does so every ten minutes by itself."

    def handle(self, *args: Any, **options: Any) -> None:
        self._has_waited = False
        with purging.alone(self._wait) as turn:
            if turn is not None:
                self._purge(turn)

    def _wait(self) -> None:
        if not self._has_waited:
            self.stdout.write("Another purge is under way: waiting for its end, ten minutes at the most.")
            self.stdout.flush()
        self._has_waited = True
        sleep(ASK_AGAIN)

    def _purge(self, turn: purging.PurgeTurn) -> None:
        now, failed = timezone.now(), []
        for kind, act in chain(purge.batches(now, turn.retention), purge.looked_for(now, turn.retention)):
            try:
                self._delete(kind, act, turn)
            except DatabaseError as error:
                failed.append(kind)
                self.stderr.write(f"{kind}: {error}")
        if failed:
            raise CommandError(f"Not deleted: {', '.join(failed)}.")

    def _delete(self, kind: str, act: PurgeAct, turn: purging.PurgeTurn) -> None:
        total = 0
        while not act.is_done and turn.goes_on():
            total += purging.batch(act)
        if not act.is_done:
            raise CommandError("Another purge went on instead, or history is kept for longer since this one began.")
        self.stdout.write(f"{kind}: {total}")
