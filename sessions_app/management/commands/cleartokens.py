"""Stands in the place of django-oauth-toolkit's command of the same name, which would delete living refresh tokens."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from sessions_app.purge import purge_tokens


class Command(BaseCommand):
    help = "Delete tokens, codes and families that are dead for good."

    def handle(self, *args: Any, **options: Any) -> None:
        for kind, count in purge_tokens(timezone.now()).items():
            self.stdout.write(f"{count} {kind}")
