"""Celery's part of the life of a session."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from idp.processes.places import long_task
from sessions_app.account import mail, mailed, security_mails
from sessions_app.transfer import exports, jobs


@shared_task
def send_mails() -> None:
    """Send the mails that requests asked for, and those that people get about their accounts."""
    now = timezone.now()
    mail.send_due(now)
    mailed.send_due(now)
    security_mails.send_due(now)


@long_task(waits=False)
def run_transfer_jobs() -> None:
    """Write exports that were asked for, import what was uploaded, and go on with what a worker left that is gone."""
    exports.run_waiting(timezone.now())
    jobs.run_waiting(timezone.now())
