"""Celery's part of the life of a session."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from sessions_app.account import mail


@shared_task
def send_mails() -> None:
    """Send the mails that requests asked for since the last time."""
    mail.send_due(timezone.now())
