"""`manage.py web`: the web server alone, for installations that run every part in its own container."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from django.core.management.base import BaseCommand
from django.db import ProgrammingError, connection

from idp.crypto import sealed
from idp.database.outage import OUTAGES
from idp.processes import children


class Command(BaseCommand):
    help = "Run the web server in the foreground."

    def handle(self, *args: Any, **options: Any) -> None:
        self._require_keys()
        argv = children.web().argv
        os.execv(argv[0], argv)  # noqa: S606  our own interpreter

    def _require_keys(self) -> None:
        """A database that is away is waited for: then /readyz says what is missing."""
        try:
            with contextlib.suppress(*OUTAGES, ProgrammingError):
                sealed.refuse_without_needed_keys()
        finally:
            connection.close()
