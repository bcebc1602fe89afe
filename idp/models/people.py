"""People, where they come from, and who they are there."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.utils import timezone

from idp import signals
from idp.models.applications import Application
from idp.people import passwords
from idp.protocol.text import normal_forms

NO_OBJECT = models.Value({}, models.JSONField())  # an earlier release writes rows without these columns


def new_database_sub() -> str:
    """The local part of a database user's id: 24 hexadecimal digits, as in `auth0|5f7c8ec7c33c6c004bbafe82`."""
    return secrets.token_hex(12)


def new_connection_id() -> str:
    return f"con_{secrets.token_urlsafe(12)}"


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(user_id=username)

    def create_user(self, user_id: str = "", password: str | None = None, **fields: Any) -> User:
        user = self.model(user_id=user_id or f"auth0|{new_database_sub()}", **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, user_id: str = "", password: str | None = None, **fields: Any) -> User:
        return self.create_user(user_id, password, is_staff=True, is_superuser=True, **fields)


class PasswordChange(StrEnum):
    """Why a password is another one than before."""

    CHOSEN = "chosen"  # by whoever knew the one before, or by an administrator or an application
    RESET = "reset"  # by a link of a mail
    ADDRESS_PROVED = "address-proved"  # it was of before anybody had shown that the address is theirs: nobody's now
    NOT_ME = "not-me"  # it was its person's no more: nobody's now

    @property
    def is_nobodys(self) -> bool:
        return self in (PasswordChange.ADDRESS_PROVED, PasswordChange.NOT_ME)


class User(AbstractBaseUser, PermissionsMixin):
    """A person. `user_id` is the `sub` of every token: `auth0|<24 hex>` or `{strategy}|{connection}|{upstream sub}`."""

    _password: str | None  # the new password in clear, until save()
    password = models.CharField(max_length=1000)  # Django's 128 are too few for hashes that people bring along
    user_id = models.CharField(
        max_length=255, unique=True, help_text="The sub claim, e.g. auth0|5f7c8ec7c33c6c004bbafe82."
    )
    email = models.EmailField(blank=True)
    email_verified = models.BooleanField(default=False)
    name = models.CharField(max_length=255, blank=True)
    given_name = models.CharField(max_length=150, blank=True)
    family_name = models.CharField(max_length=150, blank=True)
    nickname = models.CharField(max_length=150, blank=True)
    picture = models.URLField(max_length=1000, blank=True)
    phone_number = models.CharField(max_length=32, blank=True)
    phone_number_verified = models.BooleanField(default=False)
    claims = models.JSONField(
        default=dict, blank=True, help_text="Further standard OpenID claims, e.g. address or locale."
    )
    user_metadata = models.JSONField(
        default=dict, db_default=NO_OBJECT, blank=True, help_text="Facts that the person may know."
    )
    app_metadata = models.JSONField(
        default=dict, db_default=NO_OBJECT, blank=True, help_text="Facts that only administrators change."
    )
    language = models.CharField(
        max_length=16,
        blank=True,
        default="",
        db_default="",
        help_text="Of pages and mails; empty: as the browser wants.",
    )
    is_active = models.BooleanField(
        default=True, help_text="Off: blocked. Every session and token of the person is dead."
    )
    is_staff = models.BooleanField(default=False, help_text="May open this admin.")
    revoked_before = models.DateTimeField(
        null=True, blank=True, help_text="Sessions, codes and tokens that began before this moment are dead."
    )
    passkey_declined_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When they did not want a passkey: they are not asked again."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    password_change: str = PasswordChange.CHOSEN  # what a new password that is saved comes of
    acting: str = ""  # who saves, where it is not the person: the actor of the signal below
    acting_session: int | None = None  # pk of the SSO session in which the person acts: it outlives their new password

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "user_id"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        indexes = (  # each with the key, by which pages of equals are told apart
            models.Index(fields=("email", "id"), name="idp_user_email"),
            models.Index(fields=("created_at", "id"), name="idp_user_created"),
            models.Index(fields=("updated_at", "id"), name="idp_user_updated"),
        )

    def __str__(self) -> str:
        return self.email or self.user_id

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(None if raw_password is None else normal_forms.password(raw_password))

    def check_password(self, raw_password: str | None) -> bool:
        """A hash that is out of date, or of another form of the password, is replaced: nobody's sessions end by that."""
        if raw_password is None:
            return False
        found = passwords.match(self.password, raw_password)
        if found is not None and found.is_outdated:
            renewed = passwords.hashed(raw_password)
            if type(self).objects.filter(pk=self.pk, password=self.password).update(password=renewed):
                self.password = renewed
        return found is not None

    async def acheck_password(self, raw_password: str | None) -> bool:
        return await sync_to_async(self.check_password)(raw_password)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new password is announced in the same transaction, whoever set it (reset form, change form, admin).

        A row that was read before somebody was blocked, revoked or given another password does not undo it: these columns
        are written by their acts, or by name in `update_fields`.
        """
        if not self._state.adding and kwargs.get("update_fields") is None:
            kwargs["update_fields"] = self._columns_of_a_form()
        if self._password is None or self._state.adding:
            super().save(*args, **kwargs)
            return
        with transaction.atomic():
            super().save(*args, **kwargs)
            said = {"actor": self.acting or "user", "at": timezone.now(), "why": PasswordChange(self.password_change)}
            signals.password_changed.send(User, user=self, **said)

    def _columns_of_a_form(self) -> list[str]:
        acts = {"is_active", "revoked_before"}
        if self._password is None and self.has_usable_password():
            acts.add("password")
        return [field.name for field in self._meta.concrete_fields if not field.primary_key and field.name not in acts]

    @property
    def has_powers(self) -> bool:
        """Whether the admin opens for them. Whoever signs in as such a person has these powers."""
        return self.is_staff or self.is_superuser

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.nickname or self.given_name or self.get_full_name()


class Strategy(models.TextChoices):
    DATABASE = "auth0", "Database"
    OIDC = "oidc", "OpenID Connect"
    OKTA = "okta", "Okta Workforce"
    GOOGLE = "google-oauth2", "Google"
    ADFS = "adfs", "ADFS"
    ENTRA = "waad", "Microsoft Entra ID"
    SAML = "samlp", "SAML"
    ACTIVE_DIRECTORY = "ad", "Active Directory / LDAP"


CONNECTION_NAME = re.compile(r"^[a-zA-Z0-9](-[a-zA-Z0-9]|[a-zA-Z0-9])*$")


class Connection(models.Model):
    """Where people come from: a database of ours or an identity provider upstream."""

    public_id = models.CharField(max_length=32, unique=True, default=new_connection_id, editable=False)
    name = models.CharField(
        max_length=128,
        unique=True,
        validators=[RegexValidator(CONNECTION_NAME, "Letters, digits and single hyphens only.")],
    )
    strategy = models.CharField(max_length=20, choices=Strategy)
    display_name = models.CharField(max_length=255, blank=True)
    icon_url = models.URLField(max_length=1000, blank=True)
    enabled = models.BooleanField(default=True)
    options = models.JSONField(default=dict, blank=True)
    sealed_options = models.JSONField(default=dict, blank=True, editable=False, help_text="Secrets, encrypted at rest.")
    enabled_for_all = models.BooleanField(default=True, help_text="Every application may use this connection.")
    enabled_clients: models.ManyToManyField[Application, Any] = models.ManyToManyField(
        "idp.Application", blank=True, related_name="connections"
    )
    silent_since = models.DateTimeField(
        null=True, editable=False, help_text="Since when it does not answer us; empty: it does, or nobody can know."
    )
    last_signed = models.CharField(
        max_length=16,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="What was signed of the last SAML response that signed somebody in: response, assertion or both.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.display_name or self.name

    def user_id_of(self, sub: str) -> str:
        """The `sub` of our own tokens: `auth0|{sub}`, or `{strategy}|{connection}|{upstream sub}`."""
        return f"auth0|{sub}" if self.strategy == Strategy.DATABASE else f"{self.strategy}|{self.name}|{sub}"


class ConnectionCheck(models.Model):
    """What the last test of a connection found; `findings` are the members of `idp.connections.checks.Finding`."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="last_check")
    checked_at = models.DateTimeField()
    findings = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"test of connection {self.connection_id}"


class Identity(models.Model):
    """One account at one connection. Keyed by (connection, sub); never linked by e-mail."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="identities")
    sub = models.CharField(max_length=255, help_text="The account's stable id at the connection.")
    login = models.CharField(
        max_length=255,
        null=True,
        blank=True,
        help_text="What is typed at sign-in, in the form of idp/protocol/text/normal_forms.py.",
    )
    email = models.CharField(max_length=254, blank=True, help_text="As the connection gave it, in the same form.")
    profile = models.JSONField(default=dict, blank=True)
    groups_digest = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Of the groups that the connection gave last; empty: none.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_login_at = models.DateTimeField(null=True, blank=True)
    revoked_before = models.DateTimeField(
        null=True, blank=True, help_text="Sign-ins through this account that were proved before this moment are dead."
    )

    class Meta:
        verbose_name_plural = "identities"
        constraints = (
            models.UniqueConstraint(fields=("connection", "sub"), name="idp_identity_one_per_sub"),
            models.UniqueConstraint(fields=("connection", "login"), name="idp_identity_one_per_login"),
        )
        indexes = (models.Index(fields=("connection", "email"), name="idp_identity_email"),)

    def __str__(self) -> str:
        return f"{self.sub} at {self.connection}"

    @property
    def revoked(self) -> datetime | None:
        """The later of the account's and its person's mark: what was proved until then opens nothing."""
        marks = [mark for mark in (self.revoked_before, self.user.revoked_before) if mark is not None]
        return max(marks, default=None)

    @property
    def own_user_id(self) -> str:
        """The user id that this account has where no administrator linked it to another person."""
        return self.connection.user_id_of(self.sub)


def began_before(began_at: datetime, mark: datetime | None) -> bool:
    """Whether something that began then is dead by a not-before mark (exactly at the mark counts as before)."""
    return mark is not None and began_at <= mark
