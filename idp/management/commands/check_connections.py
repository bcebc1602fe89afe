"""`manage.py check_connections [NAME ...]`: test connections as the admin does; ends with code 1 if one of them fails."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from idp.connections import health
from idp.models import Connection, Strategy


class Command(BaseCommand):
    help = "Ask the identity provider of every enabled connection, and say what is wrong. Signs nobody in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="Only these connections, disabled ones too.")

    def handle(self, *args: Any, **options: Any) -> None:
        failing = []
        for connection in _wanted(options["names"]):
            findings = health.examine(connection, at=timezone.now())
            for finding in findings:
                self.stdout.write(f"{connection.name}: {finding.level}: {finding.text}")
            if any(finding.level == "error" for finding in findings):
                failing.append(connection.name)
        if failing:
            raise CommandError(f"Not working: {', '.join(failing)}.")


def _wanted(names: list[str]) -> list[Connection]:
    if not names:
        return list(Connection.objects.filter(enabled=True).exclude(strategy=Strategy.DATABASE))
    rows = {row.name: row for row in Connection.objects.filter(name__in=names)}
    if unknown := [name for name in names if name not in rows]:
        raise CommandError(f"There is no connection {', '.join(unknown)}.")
    return [rows[name] for name in names]
