"""Invitations, and what mails have links and codes of: a secret is stored as its SHA-256, and made when its mail is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from idp.models.directory import Group
from idp.models.people import Connection, User


class InvitationState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    ACCEPTED = "accepted", "Accepted"
    WITHDRAWN = "withdrawn", "Withdrawn"
    EXPIRED = "expired", "Expired"


class Invitation(models.Model):
    """Somebody may have an account, or what comes with it: once, by the link of a mail to this address."""

    address = models.EmailField(verbose_name="e-mail address")
    name = models.CharField(max_length=255, blank=True, help_text="Of the person, as far as it is known.")
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="+", help_text="By which the person will sign in."
    )
    groups: models.ManyToManyField[Group, Any] = models.ManyToManyField(
        Group, blank=True, related_name="+", help_text="Our own groups that the person is in from then on."
    )
    invited_by = models.CharField(max_length=255, editable=False, help_text="The actor, as in the audit trail.")
    invited_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(editable=False)
    accepted_at = models.DateTimeField(null=True, editable=False)
    accepted_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("connection", "address"),
                condition=Q(accepted_at__isnull=True, withdrawn_at__isnull=True),
                name="idp_invitation_one_waiting",
            ),
        )
        indexes = (models.Index(fields=("expires_at",), name="idp_invitation_purge"),)

    def __str__(self) -> str:
        return self.address

    def state(self, at: datetime) -> InvitationState:
        if self.accepted_at is not None:
            return InvitationState.ACCEPTED
        if self.withdrawn_at is not None:
            return InvitationState.WITHDRAWN
        return InvitationState.WAITING if self.expires_at > at else InvitationState.EXPIRED


class MailLinkKind(models.TextChoices):
    INVITATION = "invitation", "Invitation"
    SIGN_UP = "sign_up", "Sign-up"
    SIGN_IN = "sign_in", "Sign-in by mail"
    ADDRESS = "address", "New address"


class MailLink(models.Model):
    """A mail that waits for the worker, and then what its link or code is worth. Whoever asks for one learns nothing of accounts:
    whom it is for is found out when it is sent."""

    kind = models.CharField(max_length=12, choices=MailLinkKind)
    address = models.CharField(max_length=254)
    connection = models.ForeignKey(Connection, null=True, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    invitation = models.ForeignKey(Invitation, null=True, on_delete=models.CASCADE, related_name="links")
    secret_hash = models.CharField(max_length=64, null=True, unique=True)
    code_hash = models.CharField(max_length=64, blank=True, default="")
    wrong_codes = models.PositiveSmallIntegerField(default=0)
    browser_hash = models.CharField(max_length=64, blank=True, default="", help_text="Of the browser that asked.")
    language = models.CharField(
        max_length=16, default="", db_default="", help_text="Of the page where it was asked for; empty: not known."
    )
    next_url = models.TextField(blank=True, default="", help_text="Where it leads in that browser: a path of ours.")
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, help_text="Of the mail; empty: it was sent, or there was nobody for it.")
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=("due_at",), condition=Q(due_at__isnull=False), name="idp_maillink_due"),
            models.Index(fields=("browser_hash",), condition=~Q(browser_hash=""), name="idp_maillink_browser"),
            models.Index(fields=("expires_at",), name="idp_maillink_purge"),
        )

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"
