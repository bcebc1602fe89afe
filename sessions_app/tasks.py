"""Celery's part of the life of a session."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from sessions_app.account import mail, mailed, security_mails


@shared_task
def send_mails() -> None:
    """Send the mails that requests asked for, and those that people get about their accounts."""
    now = timezone.now()
    mail.send_due(now)
    mailed.send_due(now)
    security_mails.send_due(now)
