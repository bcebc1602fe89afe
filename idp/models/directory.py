"""Groups of people, roles, and who has which: what applications learn of somebody beside their name."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from idp.directory import rules
from idp.models.applications import Application
from idp.models.people import Connection, Identity, User


def new_role_id() -> str:
    return f"rol_{secrets.token_urlsafe(12)}"


class Group(models.Model):
    """A group of one source: a connection, or the tenant itself. Its name is unique there, in the letters that it came with."""

    connection = models.ForeignKey(
        Connection,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="people_groups",
        help_text="Where the group is from; empty: it is ours, and administrators say who is in it.",
    )
    name = models.CharField(max_length=rules.LONGEST_GROUP, help_text="As applications read it, letter for letter.")
    description = models.CharField(max_length=255, blank=True)
    external_id = models.CharField(max_length=255, blank=True, editable=False, help_text="The source's own id of it.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(fields=("connection", "name"), name="idp_group_one_per_source"),
            models.UniqueConstraint(
                fields=("name",), condition=Q(connection__isnull=True), name="idp_group_one_of_the_tenant"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.connection.name})" if self.connection else self.name

    def clean(self) -> None:
        if reason := rules.group_name_problem(self.name):
            raise ValidationError({"name": reason})


class Source(models.TextChoices):
    """Who said that somebody is in a group. Each replaces what it said itself, and nothing else."""

    UPSTREAM = "upstream", "the connection, at the last sign-in"
    SCIM = "scim", "the connection, by provisioning"
    ADMINISTRATOR = "administrator", "an administrator"


class Membership(models.Model):
    """Somebody is in a group: an account of a connection, which takes its groups along when it is linked to another person,
    or (by an administrator) a person."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    identity = models.ForeignKey(Identity, null=True, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="memberships")
    source = models.CharField(max_length=16, choices=Source)
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("identity", "group", "source"), name="idp_membership_of_identity"),
            models.UniqueConstraint(fields=("user", "group", "source"), name="idp_membership_of_user"),
            models.CheckConstraint(
                condition=Q(identity__isnull=True, user__isnull=False) | Q(identity__isnull=False, user__isnull=True),
                name="idp_membership_of_one",
            ),
        )

    def __str__(self) -> str:
        return f"membership in group {self.group_id}"


class Role(models.Model):
    """What somebody may do at APIs, under a name that applications read. Configuration: a snapshot holds all of them."""

    public_id = models.CharField(max_length=32, unique=True, default=new_role_id, editable=False)
    name = models.CharField(max_length=rules.LONGEST_ROLE, unique=True)
    description = models.CharField(max_length=255, blank=True)
    permissions = models.JSONField(
        default=list,
        blank=True,
        help_text='Auth0\'s shape: [{"resource_server_identifier": "https://api.example.com/", "permission_name": "read:things"}].',
    )
    groups = models.JSONField(
        default=list, blank=True, help_text="Everybody in one of these groups has the role; as an application's groups."
    )
    people: models.ManyToManyField[User, Any] = models.ManyToManyField(User, blank=True, related_name="roles")

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        found: dict[str, list[str]] = {}
        for field, reason in rules.role_problems(self):
            found.setdefault(field, []).append(reason)
        if found:
            raise ValidationError(found)


class Assignment(models.Model):
    """This person may use an application whose `access_mode` is `assigned`."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="assignments")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="assignments")
    since = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("application", "user"), name="idp_assignment_once"),)

    def __str__(self) -> str:
        return f"user {self.user_id} at application {self.application_id}"


class ClaimTrouble(models.Model):
    """A claim of an application that was left out of somebody's token, since its mapping was last changed."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="claim_troubles")
    claim = models.CharField(max_length=255)
    reason = models.CharField(max_length=500)
    first_at = models.DateTimeField()

    class Meta:
        ordering = ("first_at", "pk")
        constraints = (models.UniqueConstraint(fields=("application", "claim"), name="idp_claim_trouble_once"),)

    def __str__(self) -> str:
        return f"{self.claim}: {self.reason}"


class RefusedRequest(models.Model):
    """What an application asked for lately and was refused: the newest few, for whoever mends it (`idp.applications.refusals`)."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="refused_requests")
    what = models.CharField(max_length=32, help_text="The parameter with the address, or the error's code.")
    received = models.CharField(max_length=500, help_text="The address as it came.")
    reason = models.CharField(max_length=300)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ("-last_at", "-pk")
        constraints = (
            models.UniqueConstraint(fields=("application", "what", "received"), name="idp_refused_request_once"),
        )

    def __str__(self) -> str:
        return f"{self.what} of application {self.application_id}"
