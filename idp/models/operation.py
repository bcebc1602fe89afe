"""What this installation runs on: its keys, the settings of its tenant, what was used up."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from idp.protocol.clients import SIGNING_ALGORITHMS
from idp.protocol.opaque import new_secret
from idp.tenants import rules

NOTHING = models.Value({}, models.JSONField())  # an earlier release writes rows without these columns


class KeyStatus(models.TextChoices):
    NEXT = "next", "Next: published, not yet signing"
    ACTIVE = "active", "Active: signing"
    RETIRING = "retiring", "Retiring: published until its tokens are gone"
    GONE = "gone", "Gone: not published"


class SigningKey(models.Model):
    """One key pair. The private half is sealed; the states move next -> active -> retiring -> gone."""

    kid = models.CharField(max_length=64, unique=True)
    algorithm = models.CharField(max_length=8, choices=[(name, name) for name in SIGNING_ALGORITHMS])
    status = models.CharField(max_length=8, choices=KeyStatus, default=KeyStatus.NEXT)
    public_jwk = models.JSONField()
    sealed_private_key = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    activated_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)
    longest_token = models.PositiveIntegerField(
        default=0, db_default=0, editable=False, help_text="Seconds for which tokens that it signed are valid at most."
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("algorithm",), condition=Q(status="active"), name="idp_signingkey_one_active"
            ),
            models.UniqueConstraint(fields=("algorithm",), condition=Q(status="next"), name="idp_signingkey_one_next"),
        )

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kid}"


class SamlKeyStatus(models.TextChoices):
    """A key that is gone has no row."""

    NEXT = "next", "Next: published, not yet signing"
    ACTIVE = "active", "Active: signing"
    RETIRING = "retiring", "Retiring: published, and opens what was encrypted for it"


class SamlKey(models.Model):
    """A key pair with which we speak SAML: it signs what we say and opens what was encrypted for us (`idp.saml.rotation`)."""

    certificate = models.TextField(help_text="PEM, self-signed: the others trust it by our metadata.")
    sealed_private_key = models.TextField(editable=False)
    status = models.CharField(max_length=8, choices=SamlKeyStatus, default=SamlKeyStatus.ACTIVE)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    activated_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "SAML key"
        constraints = (
            models.UniqueConstraint(fields=("status",), condition=Q(status="active"), name="idp_samlkey_one_active"),
            models.UniqueConstraint(fields=("status",), condition=Q(status="next"), name="idp_samlkey_one_next"),
        )

    def __str__(self) -> str:
        return f"SAML key of {self.created_at:%d %B %Y}"


class V2LogoutConfirmation(models.TextChoices):
    NEVER = "never", "Never (Auth0's way)"
    CROSS_SITE = "cross_site", "When the link is on another site"


class SecurityProfile(models.TextChoices):
    NONE = "", "None"
    IPSIE = "ipsie", "IPSIE: what its session level SL1 asks of identity services"


class SecurityMails(models.TextChoices):
    DATABASE = "database", "To people of database connections"
    ALL = "all", "To everybody whose address is verified"
    OFF = "off", "To nobody"


def offered_languages() -> list[tuple[str, str]]:
    return list(settings.LANGUAGES)


class TenantSettings(models.Model):
    """The one row of settings that an administrator may change while Curfew runs."""

    friendly_name = models.CharField(max_length=255, default="Curfew")
    picture_url = models.URLField(max_length=1000, blank=True)
    default_language = models.CharField(
        max_length=16,
        choices=offered_languages,
        default="en",
        db_default="en",
        help_text="Of pages and mails to people of whom nobody knows what they read.",
    )
    accent_color = models.CharField(max_length=7, blank=True, validators=[RegexValidator(r"^#[0-9a-fA-F]{6}$")])
    picture_url_dark = models.URLField(
        max_length=1000,
        blank=True,
        default="",
        db_default="",
        help_text="The logo where pages are dark; empty: the same one.",
    )
    favicon_url = models.URLField(max_length=1000, blank=True, default="", db_default="")
    logo_upload = models.CharField(max_length=80, blank=True, default="", db_default="", editable=False)
    logo_dark_upload = models.CharField(max_length=80, blank=True, default="", db_default="", editable=False)
    favicon_upload = models.CharField(max_length=80, blank=True, default="", db_default="", editable=False)
    background_color = models.CharField(
        max_length=7,
        blank=True,
        default="",
        db_default="",
        validators=[RegexValidator(r"^#[0-9a-fA-F]{6}$")],
        help_text="Behind light pages, as #f4f5f7. Where text would be hard to read a lighter one is used.",
    )
    background_color_dark = models.CharField(
        max_length=7,
        blank=True,
        default="",
        db_default="",
        validators=[RegexValidator(r"^#[0-9a-fA-F]{6}$")],
        help_text="Behind dark pages, as #12151b. Where text would be hard to read a darker one is used.",
    )
    privacy_url = models.URLField(
        max_length=1000, blank=True, default="", db_default="", help_text="At the foot of every page."
    )
    imprint_url = models.URLField(
        max_length=1000, blank=True, default="", db_default="", help_text="At the foot of every page."
    )
    texts = models.JSONField(default=dict, db_default=NOTHING, blank=True, editable=False)
    mail_templates = models.JSONField(default=dict, db_default=NOTHING, blank=True, editable=False)
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
    require_mfa = models.BooleanField(
        default=False, db_default=False, help_text="Nobody uses an application without having proved a second factor."
    )
    require_mfa_groups = models.JSONField(
        default=list, blank=True, help_text="Whoever is in one of these groups proves a second factor everywhere."
    )
    remember_second_factor_days = models.PositiveIntegerField(
        default=30,
        db_default=30,
        help_text="How long somebody may have a browser remembered instead of a second factor. 0: never.",
    )
    session_management = models.BooleanField(default=False, help_text="OpenID Connect Session Management 1.0.")
    dynamic_client_registration = models.BooleanField(default=False)
    profile = models.CharField(
        max_length=16, choices=SecurityProfile, blank=True, default=SecurityProfile.NONE, db_default=""
    )
    require_pkce = models.BooleanField(
        default=False, db_default=False, help_text="Of confidential applications too, whatever their own switch says."
    )
    require_pushed_authorization_requests = models.BooleanField(
        default=False, db_default=False, help_text="Of every application, whatever its own switch says (RFC 9126)."
    )
    pairwise_salt = models.CharField(max_length=64, default=new_secret, db_default="", editable=False)
    sign_out_timeout = models.PositiveIntegerField(default=5, help_text="Seconds until an application's row turns red.")
    password_change_ends_other_sessions = models.BooleanField(default=True)
    security_mails = models.CharField(
        max_length=8,
        choices=SecurityMails,
        default=SecurityMails.DATABASE,
        db_default=SecurityMails.DATABASE.value,
        help_text="Who is told of new devices, changed passwords and factors, and ends that somebody else began.",
    )
    history_retention_days = models.PositiveIntegerField(default=90)
    legal_hold = models.CharField(max_length=200, blank=True, default="", db_default="")  # why; empty: there is none
    config_version = models.BigIntegerField(
        default=0, editable=False, help_text="Grows with every change of configuration."
    )

    class Meta:
        verbose_name_plural = "tenant settings"
        constraints = (models.CheckConstraint(condition=Q(id=1), name="idp_tenantsettings_one_row"),)

    def __str__(self) -> str:
        return self.friendly_name

    def clean(self) -> None:
        found: dict[str, list[str]] = {}
        for problem in rules.problems(self):
            found.setdefault(problem.field, []).append(str(problem))
        if found:
            raise ValidationError(found)

    @property
    def logo(self) -> str:
        """Where the logo is; what was uploaded comes first."""
        return _address(self.logo_upload) or self.picture_url

    @property
    def logo_dark(self) -> str:
        return _address(self.logo_dark_upload) or self.picture_url_dark

    @property
    def favicon(self) -> str:
        return _address(self.favicon_upload) or self.favicon_url

    @property
    def has_colours(self) -> bool:
        return bool(self.accent_color or self.background_color or self.background_color_dark)

    @property
    def session_cookie_age(self) -> int | None:
        """Seconds for which browsers keep the session's cookies; None: until they are closed."""
        return rules.within(self, "session_lifetime_in_minutes") * 60 if self.persistent_session_cookie else None


class BrandImage(models.Model):
    """A picture that an administrator uploaded, by the hash of its bytes."""

    name = models.CharField(max_length=80, unique=True)
    content = models.BinaryField()

    def __str__(self) -> str:
        return self.name


def _address(upload: str) -> str:
    return reverse("brand_image", args=[upload]) if upload else ""


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
