"""`manage.py demo`: the demo's data for a deployment whose processes run apart; `manage.py up` does this by itself."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from idp.operations import demo
from idp.processes import children


class Command(BaseCommand):
    help = "Apply the demo's tenant and print its credentials; with --apps also run its applications and its Okta organisation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--apps", action="store_true", help="Run the applications in the foreground.")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.HTTPS:
            raise CommandError("The demo is for an http issuer on loopback: its credentials are printed.")
        self._say("\n".join(demo.prepare(settings.PORT)))
        if options["apps"]:
            children.Supervisor(demo.children(settings.PORT), self._say).run(lambda: False, lambda: None)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
