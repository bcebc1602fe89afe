"""What a connection's provisioning (SCIM 2.0) keeps: who may write, and whom and which groups it has written."""

from __future__ import annotations

import secrets

from django.db import models
from django.db.models import Q
from django.utils import timezone

from idp.models.applications import Application
from idp.models.directory import Group
from idp.models.people import Connection, Identity


def new_scim_id() -> str:
    return secrets.token_hex(12)


class SignInBy(models.TextChoices):
    EXTERNAL_ID = "externalId", "externalId: the id of the account at the identity provider"
    USER_NAME = "userName", "userName: the name that they sign in with there"


class Provisioning(models.Model):
    """That a connection is written by SCIM, and how. No row: it is not."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="provisioning")
    enabled = models.BooleanField(default=True)
    sign_in_by = models.CharField(
        max_length=16,
        choices=SignInBy,
        help_text="By what a provisioned person is found again when they sign in.",
    )
    required_group = models.CharField(
        max_length=512,
        blank=True,
        default="",
        help_text="Who is not in this group of the source cannot sign in; whoever leaves it is signed out of everything.",
    )
    only_provisioned = models.BooleanField(
        default=False, help_text="Nobody signs in through the connection who was not provisioned before."
    )
    applications = models.ManyToManyField(
        Application,
        blank=True,
        related_name="+",
        help_text="Machine to machine applications that may write (scope scim).",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_request_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"provisioning of connection {self.connection_id}"


class ProvisioningToken(models.Model):
    """A bearer token of one connection, `tok_{16}.{64 hex}`; kept as SHA-256."""

    provisioning = models.ForeignKey(Provisioning, on_delete=models.CASCADE, related_name="tokens")
    token_id = models.CharField(max_length=32, unique=True)
    token_hash = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    valid_until = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.token_id


class ProvisionedUser(models.Model):
    """A person as SCIM sees them. Of one that was deleted there a row without identity stays: their account opens nothing."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    identity = models.OneToOneField(Identity, null=True, on_delete=models.CASCADE, related_name="provisioned")
    public_id = models.CharField(max_length=24, unique=True, default=new_scim_id)
    user_name = models.CharField(max_length=255)
    user_name_key = models.CharField(max_length=255)
    external_id = models.CharField(max_length=255, blank=True)
    sub = models.CharField(max_length=255, blank=True, help_text="Of the account that was deleted.")
    is_claimed = models.BooleanField(default=False, help_text="The identity's sub is the upstream's own.")
    email_keys = models.TextField(blank=True, help_text="Every address in the form of names, each between newlines.")
    resource = models.JSONField(default=dict)
    active = models.BooleanField(default=True, help_text="As the source says.")
    is_blocked = models.BooleanField(default=False, help_text="The source, and nobody else, keeps this person out.")
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    modified_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("connection", "user_name_key"),
                condition=Q(deleted_at__isnull=True),
                name="idp_provisioneduser_one_per_name",
            ),
        )
        indexes = (
            models.Index(fields=("connection", "external_id"), name="idp_provisioneduser_external"),
            models.Index(fields=("connection", "sub"), name="idp_provisioneduser_sub"),
        )

    def __str__(self) -> str:
        return self.user_name


class ProvisionedGroup(models.Model):
    """A group that SCIM wrote."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    group = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="provisioned")
    public_id = models.CharField(max_length=24, unique=True, default=new_scim_id)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    modified_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"group {self.group_id}"
