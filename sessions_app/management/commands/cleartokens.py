"""Stands in the place of django-oauth-toolkit's command of the same name, which would delete living refresh tokens."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from idp.tenants import configuration, rules
from sessions_app.session import purge


class Command(BaseCommand):
    help = "Delete tokens, codes and families that are dead for good. The worker does so every ten minutes by itself."

    def handle(self, *args: Any, **options: Any) -> None:
        retention = rules.days_of_history(configuration.current().tenant)
        for name, batch in purge.batches(timezone.now(), retention, all_keys=True):
            total = 0
            while count := batch():
                total += count
            self.stdout.write(f"{name}: {total}")
