"""What workers say of themselves, so that /readyz and /metrics of a web server know of drains that do not run or cannot record,
and of tasks that do not run.

All times are the database's clock: a worker whose own is wrong is not taken for one that is dead.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from logout_app.models import DrainReport

EVERY = 5.0  # seconds
SILENT = timedelta(seconds=30)  # after which a worker counts as gone
FORGOTTEN = timedelta(days=1)
UPDATED = ["seen_at", "held", "stuck_for", "reason", "idle_for"]
PERIODS = 3  # of the sweep for expired sessions, without any task: the queue stands still, or nobody writes to it


@dataclass(frozen=True, slots=True)
class Drains:
    """The workers of the last half minute, together."""

    running: int = 0
    silent_for: timedelta | None = None  # since the last word of any; None: workers of this release never ran
    held: int = 0
    stuck_for: float = 0.0  # seconds, of the one that is worst off
    reason: str = ""
    idle_for: float | None = None  # seconds since any of them ran a task; None: nobody tells

    @property
    def idle_too_long(self) -> float:
        """Seconds; 0: tasks run, as far as anybody knows."""
        return self.idle_for if self.idle_for and self.idle_for > PERIODS * period() else 0.0


def period() -> float:
    """Of the task that ends sessions, in seconds."""
    every: Any = settings.CELERY_BEAT_SCHEDULE["expire sessions"]["schedule"]
    return float(every)


def own_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:255]


def tell(name: str, *, held: int, stuck_for: float | None, reason: str, idle_for: float | None = None) -> None:
    """One statement."""
    report = DrainReport(name=name, seen_at=Now(), held=held, stuck_for=stuck_for, reason=reason, idle_for=idle_for)
    DrainReport.objects.bulk_create([report], update_conflicts=True, unique_fields=["name"], update_fields=UPDATED)


def forget() -> None:
    """Workers that ended long ago. The last one stays: nobody is left to forget it, and its silence is what /readyz says."""
    DrainReport.objects.filter(seen_at__lt=Now() - FORGOTTEN).delete()


def look() -> Drains:
    silence = ExpressionWrapper(Now() - F("seen_at"), output_field=DurationField())
    found = list(DrainReport.objects.annotate(silence=silence))
    running = [report for report in found if report.silence < SILENT]
    worst = max(running, key=lambda report: report.stuck_for or 0.0, default=None)
    return Drains(
        running=len(running),
        silent_for=min((report.silence for report in found), default=None),
        held=sum(report.held for report in running),
        stuck_for=(worst.stuck_for or 0.0) if worst else 0.0,
        reason=worst.reason if worst else "",
        idle_for=min((report.idle_for for report in running if report.idle_for is not None), default=None),
    )
