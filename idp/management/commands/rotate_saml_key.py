"""`manage.py rotate_saml_key [STEP]`: our SAML keys, and the next step of their rotation."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from idp.models import SamlKey
from idp.operations.terminal import is_confirmed, operator, table
from idp.saml import own_key, rotation
from idp.saml.rotation import CannotRotate, RotationStep

HEADING = ("STATUS", "MADE", "CERTIFICATE (SHA-256)")


class Command(BaseCommand):
    help = (
        "Rotate our SAML key: publish a successor, activate it, withdraw the one before; or discard the successor. "
        "Without a step: which keys there are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("step", nargs="?", choices=[step.value for step in RotationStep])
        parser.add_argument(
            "--early", action="store_true", help="Although not everybody can have read our metadata since."
        )
        parser.add_argument("--no-input", action="store_true", help="Do not ask.")
        parser.add_argument("--actor", default=operator(), help="Who did it, for the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["step"]:
            self._take(RotationStep(options["step"]), options)
        rows = sorted(SamlKey.objects.all(), key=lambda row: own_key.ORDER[row.status])
        shown = [(row.status, f"{row.created_at:%Y-%m-%d %H:%M}", own_key.fingerprint(row.certificate)) for row in rows]
        self.stdout.write(table(HEADING, shown) if shown else "There is none yet: it is made at first need.")

    def _take(self, step: RotationStep, options: dict[str, Any]) -> None:
        asks = step is not RotationStep.PUBLISH and not options["no_input"]
        if asks and not is_confirmed(f"{step.capitalize()} a key that others know?"):
            raise CommandError("Nothing was done.")
        try:
            self.stdout.write(rotation.rotate(step, actor=options["actor"], at=timezone.now(), early=options["early"]))
        except CannotRotate as error:
            more = " --early does it all the same." if error.too_early else ""
            raise CommandError(f"{error}{more}") from None
