"""`manage.py web`: the web server alone, for installations that run every part in its own container."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand

from idp.processes import children


class Command(BaseCommand):
    help = "Run the web server in the foreground."

    def handle(self, *args: Any, **options: Any) -> None:
        argv = children.web().argv
        os.execv(argv[0], argv)  # noqa: S606  our own interpreter
