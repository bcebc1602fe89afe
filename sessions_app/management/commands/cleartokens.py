"""Stands in the place of django-oauth-toolkit's command of the same name, which would delete living refresh tokens."""

from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from idp.tenants import configuration, rules
from sessions_app.session import purge


class Command(BaseCommand):
    help = "Delete tokens, codes and families that are dead for good. The worker does so every ten minutes by itself."

    def handle(self, *args: Any, **options: Any) -> None:
        now, retention = timezone.now(), rules.days_of_history(configuration.current().tenant)
        looked_for = purge.looked_for(now, retention, all_keys=True)
        for name, batch in chain(purge.batches(now, retention), looked_for):
            total = 0
            while count := batch():
                total += count
            self.stdout.write(f"{name}: {total}")
