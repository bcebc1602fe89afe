"""What workers say of themselves, so that /readyz and /metrics of a web server know of drains that do not run or cannot record.

All times are the database's clock: a worker whose own is wrong is not taken for one that is dead.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from logout_app.models import DrainReport

EVERY = 5.0  # seconds
SILENT = timedelta(seconds=30)  # after which a worker counts as gone
FORGOTTEN = timedelta(days=1)
UPDATED = ["seen_at", "held", "stuck_for", "reason"]


@dataclass(frozen=True, slots=True)
class Drains:
    """The workers of the last half minute, together."""

    running: int = 0
    silent_for: timedelta | None = None  # since the last word of any; None: workers of this release never ran
    held: int = 0
    stuck_for: float = 0.0  # seconds, of the one that is worst off
    reason: str = ""


def own_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:255]


def tell(name: str, *, held: int, stuck_for: float | None, reason: str) -> None:
    """One statement."""
    report = DrainReport(name=name, seen_at=Now(), held=held, stuck_for=stuck_for, reason=reason)
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
    )
