"""`manage.py new_encryption_key [--kms]`: an entry for CURFEW_ENCRYPTION_KEYS."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from idp.crypto import kms


class Command(BaseCommand):
    help = (
        "Print a new key for CURFEW_ENCRYPTION_KEYS, to be put in front of the others. With --kms it is wrapped by CURFEW_KMS_COMMAND, "
        "and worth nothing without it. Nothing is kept here."
    )
    requires_system_checks = ()  # it is needed before there is an installation

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--kms", action="store_true", help="Wrapped by the key management service.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(kms.new_entry() if options["kms"] else secrets.token_urlsafe(32))
        except kms.KmsFailure as failure:
            raise CommandError(f"{failure}.") from None
