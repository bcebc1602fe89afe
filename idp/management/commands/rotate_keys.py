"""`manage.py rotate_keys`: publish successors of the keys that sign, or withdraw keys that were stolen."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from idp.crypto import keys, lifetimes, rotation
from idp.crypto.rotation import KeyMove, Mover
from idp.models import KeyStatus, SigningKey
from idp.operations.terminal import is_confirmed, operator, table

HEADING = ("ALGORITHM", "KEY", "STATE", "PUBLISHED", "SIGNS FROM", "STOPPED", "PUBLISHED UNTIL")


class Command(BaseCommand):
    help = (
        "Publish a successor of every signing key; it signs by itself when every cache knows it, and nobody notices. The worker does "
        "the same when keys are old enough. --now is for keys that were stolen."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--list", action="store_true", help="Only say which keys there are, since and until when.")
        parser.add_argument(
            "--now",
            action="store_true",
            help="Stolen: every published key is gone at once, new ones sign. Says what ends, and asks.",
        )
        parser.add_argument(
            "--algorithm", action="append", choices=sorted(keys.ALGORITHMS), help="With --now: only these; repeat it."
        )
        parser.add_argument("--no-input", action="store_true", help="Do not ask.")
        parser.add_argument("--json", action="store_true", help="One JSON document; does not ask.")
        parser.add_argument("--actor", default=operator(), help="Who did it, for the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["algorithm"] and not options["now"]:
            raise CommandError("--algorithm goes with --now: all keys rotate together.")
        if options["list"] and options["now"]:
            raise CommandError("Give --list or --now.")
        at = timezone.now()
        ended: list[str] = []
        moves: list[KeyMove] = []
        if options["now"]:
            algorithms = list(dict.fromkeys(options["algorithm"] or keys.ALGORITHMS))
            ended = rotation.fallout(algorithms)
            self._ask(ended, options)
            moves = rotation.withdraw(at, algorithms, mover=Mover(options["actor"]))
        elif not options["list"]:
            moves = rotation.rotate(at, force=True, mover=Mover(options["actor"]))
        self._say(moves, ended, options, at)

    def _ask(self, ended: list[str], options: dict[str, Any]) -> None:
        if options["json"]:
            return
        for sentence in ended:
            self.stdout.write(sentence)
        if not options["no_input"] and not is_confirmed("Withdraw these keys?"):
            raise CommandError("Nothing was done.")

    def _say(self, moves: list[KeyMove], ended: list[str], options: dict[str, Any], at: datetime) -> None:
        rows = SigningKey.objects.exclude(status=KeyStatus.GONE).order_by("algorithm", "created_at", "pk")
        if options["json"]:
            found = {"done": [str(move) for move in moves], "ends": ended, "keys": [_shown(row) for row in rows]}
            self.stdout.write(json.dumps(found, ensure_ascii=False, indent=2))
            return
        for move in moves:
            self.stdout.write(str(move))
        if not moves and not options["list"]:
            self.stdout.write("Successors are published already, and sign by themselves when every cache knows them.")
        self.stdout.write(table(HEADING, [[*_shown(row).values()] for row in rows]))


def _shown(row: SigningKey) -> dict[str, str]:
    signs = lifetimes.signs_from(row) if row.status == KeyStatus.NEXT else row.activated_at
    return {
        "algorithm": row.algorithm,
        "kid": row.kid,
        "state": row.status,
        "published": _moment(row.created_at),
        "signs_from": _moment(signs),
        "stopped": _moment(row.retired_at),
        "published_until": _moment(lifetimes.published_until(row)),
    }


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else ""
