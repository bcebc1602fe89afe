"""`manage.py reseal`: seal everything by the first encryption key, so that older ones can go."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from idp import signals
from idp.crypto import sealed, sealing
from idp.crypto.sealed import Progress
from idp.operations.terminal import is_confirmed, operator


class Command(BaseCommand):
    help = (
        "Seal by the first of CURFEW_ENCRYPTION_KEYS whatever an older one sealed, in batches, while Curfew runs. Killed, it goes on with "
        "the same command. Ends with code 1 if something cannot be opened. doctor says when older keys can be taken out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=sealed.BATCH, help="Rows of one transaction.")
        parser.add_argument(
            "--discard",
            metavar="KEY",
            help="Take away what this key sealed, as doctor names it: it is lost. Asks first.",
        )
        parser.add_argument("--no-input", action="store_true", help="Do not ask.")
        parser.add_argument("--json", action="store_true", help="One JSON document; does not ask.")
        parser.add_argument("--actor", default=operator(), help="Who did it, for the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"] < 1:
            raise CommandError("--batch is a number of rows, at least 1.")
        try:
            if options["discard"]:
                self._discard(options["discard"], options)
            else:
                self._reseal(options)
        except sealing.CannotUnseal as error:
            raise CommandError(f"{error}.") from None

    def _reseal(self, options: dict[str, Any]) -> None:
        done: dict[str, Progress] = {}
        for progress in sealed.reseal(options["batch"]):
            done[progress.store] = progress
            if not options["json"]:
                self.stdout.write(f"{progress.store}: {progress.anew} sealed anew, {progress.already} were")
                self.stdout.flush()
        anew = {name: progress.anew for name, progress in done.items() if progress.anew}
        lost = [each for progress in done.values() for each in progress.lost]
        self._tell("resealed", anew, sealing.key_ids()[0], options)
        if options["json"]:
            self.stdout.write(json.dumps({"sealed_anew": anew, "lost": lost}, ensure_ascii=False, indent=2))
        elif not lost:
            self.stdout.write(
                "Everything is sealed by the first key. manage.py doctor says what else needs the older ones."
            )
        if lost:
            raise CommandError("\n".join([*lost[:20], f"{len(lost)} cannot be opened and stay as they are."]))

    def _discard(self, lost: str, options: dict[str, Any]) -> None:
        tables = sealed.missing().get(lost)
        if tables is None:
            raise CommandError(f"No key {lost} is missing: it is in CURFEW_ENCRYPTION_KEYS, or seals nothing.")
        if not options["json"]:
            self.stdout.write(
                f"Lost for good, if you go on: {sealed.words(tables)}. Secrets must be typed again, signing keys are made anew, people whose "
                "imported hash goes set a new password, and whoever had an authenticator app comes in by the password alone."
            )
            if not options["no_input"] and not is_confirmed("Take it away?"):
                raise CommandError("Nothing was done.")
        dropped = sealed.discard(lost)
        self._tell("discarded", dropped, lost, options)
        self.stdout.write(
            json.dumps({"discarded": dropped}) if options["json"] else f"Taken away: {sealed.words(dropped)}."
        )

    @staticmethod
    def _tell(act: str, tables: dict[str, int], key_id: str, options: dict[str, Any]) -> None:
        if tables:
            with transaction.atomic():
                signals.secrets_resealed.send(
                    sealed.SealedStore, act=act, tables=tables, key=key_id, actor=options["actor"], at=timezone.now()
                )
