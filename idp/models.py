"""Who and trust: people, where they come from, the applications that rely on us, and the keys we sign with."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from oauth2_provider.models import AbstractApplication

from idp import signals
from idp.protocol.initiators import Initiator


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


class User(AbstractBaseUser, PermissionsMixin):
    """A person. `user_id` is the `sub` of every token: `auth0|<24 hex>` or `{strategy}|{connection}|{upstream sub}`."""

    _password: str | None  # the new password in clear, until save()
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
    is_active = models.BooleanField(
        default=True, help_text="Off: blocked. Every session and token of the person is dead."
    )
    is_staff = models.BooleanField(default=False, help_text="May open this admin.")
    revoked_before = models.DateTimeField(
        null=True, blank=True, help_text="Sessions, codes and tokens that began before this moment are dead."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    acting: str = ""  # who saves, where it is not the person: the actor of the signal below
    spared_session: int | None = None  # pk of the SSO session in which the person acts: it outlives their new password

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "user_id"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        indexes = (models.Index(fields=("email",), name="idp_user_email"),)

    def __str__(self) -> str:
        return self.email or self.user_id

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new password is announced in the same transaction, whoever set it (reset form, change form, admin)."""
        if self._password is None or self._state.adding:
            super().save(*args, **kwargs)
            return
        with transaction.atomic():
            super().save(*args, **kwargs)
            signals.password_changed.send(User, user=self, actor=self.acting or self.user_id, at=timezone.now())

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
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.display_name or self.name


class Identity(models.Model):
    """One account at one connection. Keyed by (connection, sub); never linked by e-mail."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="identities")
    sub = models.CharField(max_length=255, help_text="The account's stable id at the connection.")
    login = models.CharField(
        max_length=255,
        null=True,
        blank=True,
        help_text="Database connections: what is typed at sign-in, in lower case.",
    )
    email = models.CharField(max_length=254, blank=True, help_text="As the connection gave it, in ASCII lower case.")
    profile = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_login_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "identities"
        constraints = (
            models.UniqueConstraint(fields=("connection", "sub"), name="idp_identity_one_per_sub"),
            models.UniqueConstraint(fields=("connection", "login"), name="idp_identity_one_per_login"),
        )
        indexes = (models.Index(fields=("connection", "email"), name="idp_identity_email"),)

    def __str__(self) -> str:
        return f"{self.sub} at connection {self.connection_id}"


class AppType(models.TextChoices):
    SPA = "spa", "Single-page application"
    NATIVE = "native", "Native"
    REGULAR_WEB = "regular_web", "Regular web application"
    NON_INTERACTIVE = "non_interactive", "Machine to machine"


class TokenEndpointAuthMethod(models.TextChoices):
    NONE = "none", "None (public client)"
    POST = "client_secret_post", "client_secret_post"
    BASIC = "client_secret_basic", "client_secret_basic"
    PRIVATE_KEY_JWT = "private_key_jwt", "private_key_jwt"


class InitiatorMode(models.TextChoices):
    ALL = "all", "All, also future ones"
    CUSTOM = "custom", "Selected"


def default_grant_types() -> list[str]:
    return ["authorization_code", "refresh_token"]


def default_initiators() -> list[str]:
    return [Initiator.RP_LOGOUT.value, Initiator.IDP_LOGOUT.value]


class Application(AbstractApplication):
    """A relying party: `client_id` on the wire.

    django-oauth-toolkit's columns that we keep: client_id, client_secret (our SHA-256 hasher), redirect_uris (Auth0's
    callbacks), post_logout_redirect_uris (Auth0's allowed_logout_urls), allowed_origins; all space separated.
    """

    app_type = models.CharField(max_length=20, choices=AppType, default=AppType.REGULAR_WEB)
    token_endpoint_auth_method = models.CharField(
        max_length=24, choices=TokenEndpointAuthMethod, default=TokenEndpointAuthMethod.POST
    )
    grant_types = models.JSONField(default=default_grant_types)
    web_origins = models.JSONField(default=list, blank=True, help_text="Origins of silent authentication and ssodata.")
    logo_uri = models.URLField(max_length=1000, blank=True)
    is_first_party = models.BooleanField(default=True, help_text="No consent page.")
    enabled = models.BooleanField(default=True)
    require_pkce = models.BooleanField(default=False, help_text="Public clients must use PKCE anyway.")
    allow_logout_url_wildcards = models.BooleanField(
        default=False, help_text="A * in the leftmost host label of allowed logout URLs, for /v2/logout only."
    )
    id_token_signed_response_alg = models.CharField(
        max_length=8, choices=[("RS256", "RS256"), ("ES256", "ES256")], default="RS256"
    )
    id_token_lifetime = models.PositiveIntegerField(default=36000, help_text="Seconds.")
    access_token_lifetime = models.PositiveIntegerField(default=7200, help_text="Seconds.")
    access_tokens_die_with_session = models.BooleanField(default=True)
    jwks = models.JSONField(null=True, blank=True, help_text="Public keys for private_key_jwt.")
    jwks_uri = models.URLField(max_length=1000, blank=True)

    backchannel_logout_uri = models.URLField(max_length=1000, blank=True)
    backchannel_logout_session_required = models.BooleanField(default=True)
    backchannel_logout_token_typ = models.CharField(
        max_length=12, choices=[("logout+jwt", "logout+jwt"), ("JWT", "JWT (Auth0's)")], default="logout+jwt"
    )
    backchannel_logout_include_sub = models.BooleanField(default=True)
    backchannel_logout_initiators_mode = models.CharField(
        max_length=8, choices=InitiatorMode, default=InitiatorMode.CUSTOM
    )
    backchannel_logout_initiators = models.JSONField(default=default_initiators, blank=True)
    frontchannel_logout_uri = models.URLField(max_length=1000, blank=True)
    frontchannel_logout_session_required = models.BooleanField(default=False)
    global_token_revocation_uri = models.URLField(
        max_length=1000, blank=True, help_text="The application's own GTR endpoint."
    )
    outbound_hosts = models.JSONField(
        default=list, blank=True, help_text="If given, requests to this application may only go to these host names."
    )

    session_refresh_tokens = models.BooleanField(
        null=True,
        blank=True,
        help_text="Refresh tokens without offline_access that die with the session. Unknown: by type.",
    )
    refresh_token_rotating = models.BooleanField(default=True)
    refresh_token_leeway = models.PositiveIntegerField(
        default=30, help_text="Seconds in which the previous token still works."
    )
    refresh_token_lifetime = models.PositiveIntegerField(
        null=True, blank=True, default=2592000, help_text="Seconds; empty: no limit."
    )
    refresh_token_idle_lifetime = models.PositiveIntegerField(
        null=True, blank=True, default=1296000, help_text="Seconds; empty: no limit."
    )

    class Meta(AbstractApplication.Meta):
        ordering = ("name", "client_id")

    @property
    def callbacks(self) -> list[str]:
        return str(self.redirect_uris).split()

    @property
    def allowed_logout_urls(self) -> list[str]:
        return str(self.post_logout_redirect_uris).split()

    @property
    def cors_origins(self) -> set[str]:
        """Origins whose scripts may call the token endpoints of this application."""
        return {*self.web_origins, *self.allowed_origins.split()}

    @property
    def is_public(self) -> bool:
        return self.token_endpoint_auth_method == TokenEndpointAuthMethod.NONE

    @property
    def issues_session_refresh_tokens(self) -> bool:
        if self.session_refresh_tokens is None:
            return self.app_type in (AppType.REGULAR_WEB, AppType.NATIVE)
        return self.session_refresh_tokens

    def hears_of(self, initiator: str) -> bool:
        """Whether back-channel logout tokens are sent for sessions that ended this way."""
        if self.backchannel_logout_initiators_mode == InitiatorMode.ALL:
            return True
        return initiator in self.backchannel_logout_initiators

    def save(self, *args: Any, **kwargs: Any) -> None:
        # django-oauth-toolkit asks client_type and one grant; ours say more, so its columns follow them.
        self.client_type = self.CLIENT_PUBLIC if self.is_public else self.CLIENT_CONFIDENTIAL
        self.authorization_grant_type = (
            self.GRANT_CLIENT_CREDENTIALS
            if "authorization_code" not in self.grant_types
            else self.GRANT_AUTHORIZATION_CODE
        )
        self.skip_authorization = self.is_first_party
        super().save(*args, **kwargs)

    def allows_grant_type(self, *grant_types: str) -> bool:
        # django-oauth-toolkit spells authorization_code with a hyphen.
        return bool(
            {g.replace("-", "_") if not g.startswith("urn:") else g for g in grant_types} & set(self.grant_types)
        )

    def is_usable(self, request: Any) -> bool:
        return self.enabled

    def clean(self) -> None:
        """django-oauth-toolkit's own rules do not fit (one grant, RSA key in a setting): ours are in the admin's form and `tenant`."""


class ClientRegistration(models.Model):
    """An application that registered itself (RFC 7591) and may manage its registration by a token (RFC 7592)."""

    application = models.OneToOneField(Application, on_delete=models.CASCADE, related_name="registration")
    token_hash = models.CharField(
        max_length=64, unique=True, editable=False, help_text="SHA-256 of the registration access token."
    )
    metadata = models.JSONField(
        default=dict, blank=True, help_text="What it told about itself that no column of the application keeps."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_ip = models.GenericIPAddressField(null=True, editable=False)

    def __str__(self) -> str:
        return f"registration of application {self.application_id}"


class TokenFormat(models.TextChoices):
    OPAQUE = "access_token", "Opaque, checked in the database"
    JWT = "rfc9068_profile", "JWT (RFC 9068), valid until it expires"


class ResourceServer(models.Model):
    """An API: the audience of access tokens."""

    identifier = models.CharField(max_length=600, unique=True, help_text="The audience, e.g. https://api.example.com/.")
    name = models.CharField(max_length=255, blank=True)
    scopes = models.JSONField(default=list, blank=True, help_text='[{"value": "read:things", "description": "..."}]')
    token_lifetime = models.PositiveIntegerField(default=86400, help_text="Seconds.")
    token_dialect = models.CharField(max_length=20, choices=TokenFormat, default=TokenFormat.OPAQUE)
    signing_alg = models.CharField(max_length=8, choices=[("RS256", "RS256"), ("ES256", "ES256")], default="RS256")
    allow_offline_access = models.BooleanField(default=True)
    is_system = models.BooleanField(default=False, editable=False, help_text="Our own Management API.")

    class Meta:
        ordering = ("identifier",)

    def __str__(self) -> str:
        return self.name or self.identifier

    @property
    def scope_values(self) -> set[str]:
        return {scope["value"] for scope in self.scopes}


class ClientGrant(models.Model):
    """What an application may ask of an API by client_credentials."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="client_grants")
    resource_server = models.ForeignKey(ResourceServer, on_delete=models.CASCADE, related_name="client_grants")
    scope = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("application", "resource_server"), name="idp_clientgrant_one_per_pair"),
        )

    def __str__(self) -> str:
        return f"application {self.application_id} at API {self.resource_server_id}"


class KeyStatus(models.TextChoices):
    NEXT = "next", "Next: published, not yet signing"
    ACTIVE = "active", "Active: signing"
    RETIRING = "retiring", "Retiring: published until its tokens are gone"
    GONE = "gone", "Gone: not published"


class SigningKey(models.Model):
    """One key pair. The private half is sealed; the states move next -> active -> retiring -> gone."""

    kid = models.CharField(max_length=64, unique=True)
    algorithm = models.CharField(max_length=8, choices=[("RS256", "RS256"), ("ES256", "ES256")])
    status = models.CharField(max_length=8, choices=KeyStatus, default=KeyStatus.NEXT)
    public_jwk = models.JSONField()
    sealed_private_key = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    activated_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("algorithm",), condition=Q(status="active"), name="idp_signingkey_one_active"
            ),
            models.UniqueConstraint(fields=("algorithm",), condition=Q(status="next"), name="idp_signingkey_one_next"),
        )

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kid}"


class V2LogoutConfirmation(models.TextChoices):
    NEVER = "never", "Never (Auth0's way)"
    CROSS_SITE = "cross_site", "When the link is on another site"


class TenantSettings(models.Model):
    """The one row of settings that an administrator may change while Curfew runs."""

    friendly_name = models.CharField(max_length=255, default="Curfew")
    picture_url = models.URLField(max_length=1000, blank=True)
    accent_color = models.CharField(max_length=7, blank=True, validators=[RegexValidator(r"^#[0-9a-fA-F]{6}$")])
    support_email = models.EmailField(blank=True)
    support_url = models.URLField(max_length=1000, blank=True)
    allowed_logout_urls = models.JSONField(default=list, blank=True)
    session_lifetime_in_minutes = models.PositiveIntegerField(default=168 * 60)
    idle_session_lifetime_in_minutes = models.PositiveIntegerField(default=72 * 60)
    persistent_session_cookie = models.BooleanField(default=True)
    max_sessions_per_user = models.PositiveIntegerField(
        default=50, help_text="The oldest is ended when one more begins."
    )
    oidc_logout_prompt_enabled = models.BooleanField(
        default=True, help_text="Off: /oidc/logout never asks, not even without a hint (Auth0's switch)."
    )
    v2_logout_confirmation = models.CharField(
        max_length=12, choices=V2LogoutConfirmation, default=V2LogoutConfirmation.NEVER
    )
    session_management = models.BooleanField(default=False, help_text="OpenID Connect Session Management 1.0.")
    dynamic_client_registration = models.BooleanField(default=False)
    sign_out_timeout = models.PositiveIntegerField(default=5, help_text="Seconds until an application's row turns red.")
    password_change_ends_other_sessions = models.BooleanField(default=True)
    history_retention_days = models.PositiveIntegerField(default=90)
    config_version = models.BigIntegerField(
        default=0, editable=False, help_text="Grows with every change of configuration."
    )

    class Meta:
        verbose_name_plural = "tenant settings"
        constraints = (models.CheckConstraint(condition=Q(id=1), name="idp_tenantsettings_one_row"),)

    def __str__(self) -> str:
        return self.friendly_name


class SpentToken(models.Model):
    """A one-time token that was used: GTR and client assertion `jti`, SAML assertion id. Lives in the database so that no restart forgets it."""

    kind = models.CharField(max_length=24)
    issuer = models.CharField(max_length=255)
    jti = models.CharField(max_length=255)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("kind", "issuer", "jti"), name="idp_spenttoken_once"),)
        indexes = (models.Index(fields=("expires_at",), name="idp_spenttoken_expiry"),)

    def __str__(self) -> str:
        return f"{self.kind} of {self.issuer}"


class LimiterSlot(models.Model):
    """Attempts in one window of one key (hashed: account, address prefix, the whole tenant), sharded where many write."""

    key = models.CharField(max_length=80)
    shard = models.PositiveSmallIntegerField(default=0)
    window = models.BigIntegerField(help_text="The window's start as a Unix time.")
    count = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("key", "shard", "window"), name="idp_limiterslot_one"),)
        indexes = (models.Index(fields=("expires_at",), name="idp_limiterslot_expiry"),)

    def __str__(self) -> str:
        return self.key


def began_before(began_at: datetime, mark: datetime | None) -> bool:
    """Whether something that began then is dead by a not-before mark (exactly at the mark counts as before)."""
    return mark is not None and began_at <= mark
