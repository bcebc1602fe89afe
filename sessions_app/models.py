"""The life of a session: the session, who takes part, and every token that lives and dies with it.

Death is decided by the parents: a token is alive only if its family (if any), its session (unless the family is offline)
and its user are. `is_alive()` methods say so for one loaded row; the hot paths say the same in their one SELECT.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from oauth2_provider.models import (
    AbstractAccessToken,
    AbstractDeviceGrant,
    AbstractGrant,
    AbstractIDToken,
    AbstractRefreshToken,
)

from idp.models import began_before
from idp.models.operation import NOTHING
from idp.tenants import configuration
from sessions_app.session.gate import may_use


def new_sid() -> str:
    """A public session id: 192 random bits, 32 characters of the syntax of client_id."""
    return secrets.token_urlsafe(24)


def new_family_id() -> str:
    return f"rt_{secrets.token_urlsafe(18)}"


class SSOSessionQuerySet(models.QuerySet["SSOSession"]):
    def live(self, at: datetime) -> Self:
        return self.filter(
            Q(user__revoked_before__isnull=True) | Q(user__revoked_before__lt=F("auth_time")),
            ended_at__isnull=True,
            expires_at__gt=at,
            idle_expires_at__gt=at,
            user__is_active=True,
        )

    def overdue(self, at: datetime) -> Self:
        """Not ended yet, but past a limit: the expiry sweep's work."""
        return self.filter(Q(expires_at__lte=at) | Q(idle_expires_at__lte=at), ended_at__isnull=True)


class SSOSession(models.Model):
    """One browser's single sign-on session. Cookie value, `sid` and primary key are three different values.

    An ended session stays as a tombstone until the purge; a row without `ended_at` may still be past its limits.
    """

    sid = models.CharField(max_length=50, unique=True, default=new_sid, editable=False)
    cookie_hash = models.CharField(
        max_length=64, unique=True, editable=False, help_text="SHA-256 of the cookie's value."
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sso_sessions")
    connection = models.ForeignKey("idp.Connection", null=True, on_delete=models.SET_NULL, related_name="+")
    identity = models.ForeignKey("idp.Identity", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    auth_time = models.DateTimeField(help_text="Last time the person proved who they are.")
    amr = models.JSONField(
        default=list, help_text="Authentication methods, e.g. [{'name': 'pwd', 'timestamp': '...'}]."
    )
    last_seen_at = models.DateTimeField(help_text="Written at most once a minute.")
    idle_expires_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # No index: it changes with every sign-in to another application, and PostgreSQL would write all of the row's others too.
    last_application = models.ForeignKey(
        "idp.Application", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    initial_ip = models.GenericIPAddressField(null=True)
    initial_user_agent = models.CharField(max_length=500, blank=True)
    last_ip = models.GenericIPAddressField(null=True)
    last_user_agent = models.CharField(max_length=500, blank=True)
    upstream_sid = models.CharField(max_length=255, blank=True, help_text="The upstream's sid or SAML SessionIndex.")
    upstream = models.JSONField(
        default=dict, blank=True, editable=False, help_text="What logout upstream needs; secrets sealed."
    )
    metadata = models.JSONField(default=dict, blank=True)
    stale_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="What was proved until then must be proved again; it is no end.",
    )
    remembered_until = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Until then applications take it that a second factor was proved in this browser before. Past: not any more.",
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    end_initiator = models.CharField(max_length=32, blank=True)
    end_actor = models.CharField(max_length=255, blank=True)

    objects: ClassVar[models.Manager[SSOSession]] = SSOSessionQuerySet.as_manager()

    class Meta:
        verbose_name = "SSO session"
        constraints = (
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, end_initiator="")
                | (Q(ended_at__isnull=False) & ~Q(end_initiator="")),
                name="sessions_ssosession_end_has_reason",
            ),
        )
        indexes = (
            models.Index(fields=("user",), condition=Q(ended_at__isnull=True), name="sessions_sso_live_of_user"),
            models.Index(fields=("idle_expires_at",), condition=Q(ended_at__isnull=True), name="sessions_sso_idle"),
            models.Index(fields=("expires_at",), condition=Q(ended_at__isnull=True), name="sessions_sso_absolute"),
            models.Index(
                fields=("connection", "upstream_sid"), condition=Q(ended_at__isnull=True), name="sessions_sso_upstream"
            ),
            models.Index(fields=("ended_at",), condition=Q(ended_at__isnull=False), name="sessions_sso_ended"),
        )

    def __str__(self) -> str:
        return f"session #{self.pk}"

    def is_alive(self, at: datetime) -> bool:
        return (
            self.ended_at is None
            and at < self.expires_at
            and at < self.idle_expires_at
            and self.user.is_active
            and not began_before(self.auth_time, self.user.revoked_before)
        )

    @property
    def is_stale(self) -> bool:
        """Alive, and its person has to prove again who they are before anything further."""
        return began_before(self.auth_time, self.stale_at)


class RememberedBrowser(models.Model):
    """A browser in which one person is not asked for a second factor for a while. It holds the token, we its hash."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return f"remembered browser #{self.pk}"


class SessionClient(models.Model):
    """An application takes part in a session: written when it joins, never inferred later."""

    session = models.ForeignKey(SSOSession, on_delete=models.CASCADE, related_name="clients", db_index=False)
    application = models.ForeignKey("idp.Application", on_delete=models.CASCADE, related_name="+")
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("session", "application"), name="sessions_client_joins_once"),)

    def __str__(self) -> str:
        return f"application {self.application_id} in session #{self.session_id}"


class SamlSubject(models.Model):
    """What a SAML application was told of the session that it takes part in: whom it knows the person as, exactly as it was
    issued, and its own name for the session. A logout in either direction is about these.

    It outlives the session: who is deleted is signed out by a worker, when the session's row is gone already.
    """

    session = models.ForeignKey(
        SSOSession,
        null=True,
        on_delete=models.SET_NULL,
        related_name="saml_subjects",
        db_index=False,  # `sessions_saml_subject_one` begins with it
    )
    sid = models.CharField(
        max_length=50, db_index=True, help_text="Of the session, for as long as anybody is to be told."
    )
    application = models.ForeignKey("idp.Application", on_delete=models.CASCADE, related_name="+", db_index=False)
    session_index = models.CharField(
        max_length=64, unique=True, help_text="Random: nothing that two applications could compare."
    )
    name_id = models.CharField(max_length=1024)
    name_id_format = models.CharField(max_length=128)
    name_qualifier = models.CharField(max_length=1024, blank=True)
    sp_name_qualifier = models.CharField(max_length=1024, blank=True)
    issued_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("session", "application"), name="sessions_saml_subject_one"),)
        indexes = (models.Index(fields=("application", "name_id"), name="sessions_saml_subject_named"),)

    def __str__(self) -> str:
        return f"SAML subject of application {self.application_id} in session #{self.session_id}"

    @property
    def as_named(self) -> dict[str, str]:
        """By the names that messages are made from."""
        return {
            "name_id": self.name_id,
            "name_id_format": self.name_id_format,
            "name_qualifier": self.name_qualifier,
            "sp_name_qualifier": self.sp_name_qualifier,
        }


class AuthorizationCode(AbstractGrant):
    """A code at rest: `code` is the SHA-256 (hex) of what travelled. Single use by a conditional UPDATE of `used_at`."""

    session = models.ForeignKey(SSOSession, on_delete=models.CASCADE, related_name="+")
    audience = models.CharField(max_length=600, blank=True)
    dpop_jkt = models.CharField(
        max_length=43,
        blank=True,
        default="",
        db_default="",
        help_text="Thumbprint of the key that the request named (RFC 9449 section 10).",
    )
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta(AbstractGrant.Meta):
        indexes = (models.Index(fields=("expires",), name="sessions_code_purge"),)


class PushedRequest(models.Model):
    """An authorization request that waits under a request_uri (RFC 9126). Answered once, and to one browser."""

    uri_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the request_uri.")
    application = models.ForeignKey("idp.Application", on_delete=models.CASCADE, related_name="+")
    pairs = models.JSONField(help_text="The parameters, as they were pushed.")
    browser_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the cookie of who opened it.")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (models.Index(fields=("expires_at",), name="sessions_pushed_purge"),)

    def __str__(self) -> str:
        return f"pushed request #{self.pk}"


class RefreshTokenFamily(models.Model):
    """All refresh tokens that came from one authorization. The family is what lives or dies."""

    public_id = models.CharField(max_length=50, unique=True, default=new_family_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="refresh_token_families")
    application = models.ForeignKey("idp.Application", on_delete=models.CASCADE, related_name="+")
    session = models.ForeignKey(SSOSession, null=True, on_delete=models.SET_NULL, related_name="families")
    code = models.ForeignKey(AuthorizationCode, null=True, on_delete=models.SET_NULL, related_name="+")
    offline = models.BooleanField(help_text="Asked with offline_access: outlives the session.")
    rotating = models.BooleanField(default=True)
    scope = models.TextField(blank=True)
    audience = models.CharField(max_length=600, blank=True)
    dpop_jkt = models.CharField(
        max_length=43,
        blank=True,
        default="",
        db_default="",
        help_text="Thumbprint of the key that its tokens are bound to.",
    )
    sid = models.CharField(max_length=50, blank=True)
    auth_time = models.DateTimeField()
    acr = models.CharField(max_length=255, blank=True, default="", db_default="", help_text="As its ID tokens say it.")
    session_expires_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the session was to end as the family began; its ID tokens keep saying so.",
    )
    generation = models.PositiveIntegerField(default=0, help_text="The newest generation of tokens.")
    rotated_at = models.DateTimeField(null=True, blank=True, help_text="When the newest generation began.")
    created_at = models.DateTimeField(default=timezone.now)
    last_exchanged_at = models.DateTimeField(null=True, blank=True)
    idle_expires_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    initial_ip = models.GenericIPAddressField(null=True)
    initial_user_agent = models.CharField(max_length=500, blank=True)
    last_ip = models.GenericIPAddressField(null=True)
    last_user_agent = models.CharField(max_length=500, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoke_reason = models.CharField(max_length=32, blank=True)
    metadata = models.JSONField(default=dict, db_default=NOTHING, blank=True)

    class Meta:
        verbose_name_plural = "refresh token families"
        indexes = (
            models.Index(
                fields=("user", "application"),
                condition=Q(revoked_at__isnull=True),
                name="sessions_family_live_of_user",
            ),
            models.Index(fields=("revoked_at",), condition=Q(revoked_at__isnull=False), name="sessions_family_ended"),
        )

    def __str__(self) -> str:
        return self.public_id

    def is_alive(self, at: datetime) -> bool:
        return (
            self.revoked_at is None
            and (self.expires_at is None or at < self.expires_at)
            and (self.idle_expires_at is None or at < self.idle_expires_at)
            and (self.offline or (self.session is not None and self.session.is_alive(at)))
            and self.user.is_active
            # The sign-in counts, not the family's own start: an exchange that raced the door began after the mark.
            and not began_before(self.auth_time, self.user.revoked_before)
        )


class RefreshToken(AbstractRefreshToken):
    """One generation's token, as its SHA-256 only. django-oauth-toolkit's `revoked` and `token_family` stay empty: the family decides."""

    family = models.ForeignKey(RefreshTokenFamily, on_delete=models.CASCADE, related_name="tokens")
    generation = models.PositiveIntegerField(default=0)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("token_checksum",), name="sessions_refreshtoken_checksum"),)

    def revoke(self) -> None:
        RefreshTokenFamily.objects.filter(pk=self.family_id, revoked_at=None).update(
            revoked_at=timezone.now(), revoke_reason="revoked"
        )

    @classmethod
    def revoke_family(cls, token_family: Any) -> None:
        """django-oauth-toolkit's notion of a family is not used: our tokens have none of it to revoke."""


class LivingAccessTokens(models.Manager["AccessToken"]):
    """Loads the parents with the token, and the version of the configuration, so that `is_expired()` costs no further
    statement."""

    def get_queryset(self) -> models.QuerySet[AccessToken]:
        rows = super().get_queryset()
        parents = rows.select_related("application", "user", "session__user", "family__user", "family__session__user")
        return parents.annotate(config_version=configuration.VERSION)  # type: ignore[no-any-return]


class AccessToken(AbstractAccessToken):
    """An opaque access token, as its SHA-256 only. JWT access tokens have no row."""

    session = models.ForeignKey(SSOSession, null=True, on_delete=models.CASCADE, related_name="+")
    family = models.ForeignKey(RefreshTokenFamily, null=True, on_delete=models.CASCADE, related_name="+")
    code = models.ForeignKey(AuthorizationCode, null=True, on_delete=models.SET_NULL, related_name="+")
    audience = models.CharField(max_length=600, blank=True)
    dpop_jkt = models.CharField(
        max_length=43, blank=True, default="", db_default="", help_text="Thumbprint of the key that it is bound to."
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager[AccessToken]] = LivingAccessTokens()
    rows: ClassVar[models.Manager[AccessToken]] = (
        models.Manager()
    )  # without joins: PostgreSQL cannot lock the outer ones

    class Meta(AbstractAccessToken.Meta):
        base_manager_name = "rows"
        indexes = (models.Index(fields=("expires",), name="sessions_accesstoken_purge"),)

    def is_expired(self) -> bool:
        """Expired, revoked, or without a living parent: every reader of django-oauth-toolkit and DRF ends here."""
        return bool(super().is_expired()) or not self._parents_alive(timezone.now())

    def _parents_alive(self, at: datetime) -> bool:
        if self.revoked_at is not None or self.application is None or not self.application.enabled:
            return False
        if self.user is None:  # client_credentials: the application is the only parent
            return True
        if not self.user.is_active or began_before(self.created, self.user.revoked_before):
            return False
        if self.family is not None and not self.family.is_alive(at):
            return False
        if not self._person_may_use_it():
            return False
        if self.session is None:
            return True
        if began_before(self.session.auth_time, self.user.revoked_before):
            return False
        if not self.application.access_tokens_die_with_session:
            return True
        return bool(self.session.is_alive(at))

    def _person_may_use_it(self) -> bool:
        version: int | None = getattr(self, "config_version", None)
        snapshot = configuration.current() if version is None else configuration.at(version)
        session = self.session or (self.family.session if self.family else None)
        return may_use(self.application, session, self.user, snapshot)

    def revoke(self) -> None:
        AccessToken.rows.filter(pk=self.pk, revoked_at=None).update(revoked_at=timezone.now())


class IDToken(AbstractIDToken):
    """Only because django-oauth-toolkit's models are swapped together: our ID tokens leave no row."""


class DeviceGrant(AbstractDeviceGrant):
    """A device authorization (RFC 8628); both codes are stored as SHA-256."""

    application = models.ForeignKey("idp.Application", on_delete=models.CASCADE, related_name="+")
    session = models.ForeignKey(SSOSession, null=True, on_delete=models.CASCADE, related_name="+")
    audience = models.CharField(max_length=600, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)

    class Meta(AbstractDeviceGrant.Meta):
        indexes = (
            models.Index(fields=("expires",), name="sessions_device_purge"),
            models.Index(fields=("user_code",), name="sessions_device_user_code"),
        )


class Consent(models.Model):
    """What a person allowed an application that is not first-party."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="consents")
    application = models.ForeignKey("idp.Application", on_delete=models.CASCADE, related_name="consents")
    scopes = models.JSONField(default=list)
    granted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "application"), name="sessions_consent_one"),)

    def __str__(self) -> str:
        return f"{self.user} to {self.application}"


class FlowState(models.Model):
    """A round trip that waits for its answer: sign-in upstream, logout upstream. Bound to the browser that began it."""

    LONG_REQUEST = (
        "authorize"  # the kind of an authorization request that waits for a sign-in, which no browser is bound to
    )

    kind = models.CharField(max_length=24)
    state_hash = models.CharField(
        max_length=64, unique=True, help_text="SHA-256 of the state or RelayState that travels."
    )
    browser_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the flow cookie.")
    connection = models.ForeignKey("idp.Connection", null=True, on_delete=models.CASCADE, related_name="+")
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (models.Index(fields=("expires_at",), name="sessions_flowstate_purge"),)

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"


class MailKind(models.TextChoices):
    RESET = "reset", "Reset of a password"
    VERIFICATION = "verification", "Verification of an address"


class MailRequest(models.Model):
    """A mail that somebody asked for. Who gets one is found out when it is sent: asking costs the same for everybody."""

    kind = models.CharField(max_length=16, choices=MailKind)
    address = models.CharField(max_length=254)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    language = models.CharField(
        max_length=16, default="", db_default="", help_text="Of the page where it was asked for; empty: not known."
    )
    requested_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        indexes = (models.Index(fields=("due_at",), name="sessions_mail_due"),)

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"


class SecurityMailKind(models.TextChoices):
    NEW_DEVICE = "new_device", "New device"
    PASSWORD_CHANGED = "new_password", "Password changed"
    PASSWORD_RESET = "password_reset", "Password reset"
    PASSWORD_DROPPED = "password_dropped", "Password of before the address was proved"
    FACTOR_ADDED = "factor_added", "Second factor added"
    FACTOR_REMOVED = "factor_removed", "Second factor removed"
    ADDRESS_CHANGED = "address_changed", "Address changed"
    ADDRESS_RESTORED = "address_restored", "Address put back"
    SIGNED_OUT = "signed_out", "Signed out"


class SecurityMailOutcome(models.TextChoices):
    WAITING = "", "Waiting"
    SENT = "sent", "Sent"
    LEFT_OUT = "left_out", "Left out: too many of its kind"
    NOBODY = "nobody", "Nobody to send it to"
    GIVEN_UP = "given_up", "Given up: the mail server did not take it"


class SecurityMail(models.Model):
    """A mail to a person about their own account. It stays for a week after it was sent: `once` keeps the same event from
    being mailed again, and how many there were lately says whether one more is too many."""

    kind = models.CharField(max_length=20, choices=SecurityMailKind)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    address = models.CharField(max_length=254, blank=True, help_text="Empty: the person's own, when it is sent.")
    once = models.CharField(max_length=128, unique=True, help_text="The event that it is about.")
    happened_at = models.DateTimeField()
    data = models.JSONField(default=dict)
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    held = models.BooleanField(default=False, help_text="There were too many: the next one tells how many more.")
    outcome = models.CharField(max_length=12, choices=SecurityMailOutcome, blank=True, default="")
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=("due_at",), condition=Q(done_at__isnull=True), name="sessions_secmail_due"),
            models.Index(fields=("user", "kind", "done_at"), name="sessions_secmail_of_user"),
            models.Index(fields=("done_at",), condition=Q(done_at__isnull=False), name="sessions_secmail_purge"),
        )

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"


class TrailPosition(models.Model):
    """How far somebody has read the audit trail (`sessions_app/audit/following.py`)."""

    name = models.CharField(max_length=32, unique=True)
    after = models.BigIntegerField(help_text="The key of the last line that was read.")
    marks = models.JSONField(default=list, help_text="When which line was the newest: [[time, key], ...].")

    def __str__(self) -> str:
        return self.name


class AuditSeal(models.Model):
    """What the lines of the audit trail from beyond `after` up to `last` were when they were sealed (`sessions_app/audit/chain.py`)."""

    after = models.BigIntegerField()
    last = models.BigIntegerField(unique=True)
    lines = models.IntegerField()
    newest_at = models.DateTimeField(help_text="Of these lines.")
    previous = models.CharField(
        max_length=64, blank=True, help_text="The digest of the seal before; empty: it is the first."
    )
    digest = models.CharField(max_length=64)
    key_id = models.CharField(max_length=8)
    at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("newest_at",), name="sessions_seal_newest"),)

    def __str__(self) -> str:
        return f"lines {self.after + 1} to {self.last}"


class JobStatus(models.TextChoices):
    PENDING = "pending", "Waiting for a worker"
    PROCESSING = "processing", "Under way"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"


def new_job_id() -> str:
    return f"job_{secrets.token_hex(8)}"


class ImportJob(models.Model):
    """An import of people, which goes on where it stopped. What a batch wrote and how far it came is one transaction."""

    public_id = models.CharField(max_length=32, unique=True, default=new_job_id, editable=False)
    connection = models.ForeignKey("idp.Connection", null=True, on_delete=models.SET_NULL, related_name="+")
    status = models.CharField(max_length=12, choices=JobStatus, default=JobStatus.PENDING)
    upsert = models.BooleanField(default=False)
    external_id = models.CharField(max_length=255, blank=True)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the file, by which it is known again.")
    upload = models.BinaryField(null=True, help_text="The file, where a worker runs it; empty once it is done.")
    done = models.PositiveIntegerField(default=0, help_text="Rows of the file that are dealt with.")
    inserted = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it failed as a whole.")
    actor = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now)
    heard_at = models.DateTimeField(help_text="When its process said something last.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return self.public_id


class FailedRow(models.Model):
    """A row of an import that became nobody, and why; without what opens an account."""

    job = models.ForeignKey(ImportJob, on_delete=models.CASCADE, related_name="errors")
    row = models.PositiveIntegerField()
    user = models.JSONField()
    errors = models.JSONField()

    class Meta:
        ordering = ("row", "pk")

    def __str__(self) -> str:
        return f"row {self.row} of job {self.job_id}"


class ExportJob(models.Model):
    """An export of people, which goes on where it stopped. What a part holds and how far it came is one transaction."""

    public_id = models.CharField(max_length=32, unique=True, default=new_job_id, editable=False)
    connection = models.ForeignKey(
        "idp.Connection",
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Whose people; empty: everybody.",
    )
    status = models.CharField(max_length=12, choices=JobStatus, default=JobStatus.PENDING)
    format = models.CharField(max_length=4)
    fields = models.JSONField(
        default=list, help_text="Pairs of a name and how it is called in the file; empty: the usual ones."
    )
    limit = models.PositiveIntegerField(null=True)
    total = models.PositiveIntegerField(default=0, help_text="How many people there were when it began.")
    done = models.PositiveIntegerField(default=0)
    last = models.BigIntegerField(default=0, help_text="The key of the last person who is in it.")
    size = models.PositiveIntegerField(default=0, help_text="Bytes of the file.")
    reason = models.CharField(max_length=500, blank=True, help_text="Why it failed.")
    actor = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now)
    heard_at = models.DateTimeField(help_text="When its process said something last.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return self.public_id


class ExportPart(models.Model):
    """A piece of the file of an export: one after another they are the whole."""

    job = models.ForeignKey(ExportJob, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.PositiveIntegerField()
    content = models.BinaryField(help_text="A member of a gzip file.")

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=("job", "number"), name="sessions_export_part_once"),)

    def __str__(self) -> str:
        return f"part {self.number} of job {self.job_id}"


class SessionEvent(models.Model):
    """The audit trail of sessions: facts, not references, so that nothing else's deletion changes it. Append only:
    triggers say so too. Written and read by `sessions_app/audit` only."""

    at = models.DateTimeField(default=timezone.now)
    type = models.CharField(
        max_length=48, help_text="opened, joined, reauthenticated, ended, refresh_token_reused, sign_in_failed ..."
    )
    sid = models.CharField(max_length=50, blank=True)
    sub = models.CharField(max_length=255, blank=True)
    client_id = models.CharField(max_length=255, blank=True)
    connection = models.CharField(max_length=128, blank=True)
    initiator = models.CharField(max_length=32, blank=True)
    actor = models.CharField(max_length=255, blank=True)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=500, blank=True)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("sid", "at"), name="sessions_event_of_session"),
            models.Index(fields=("sub", "at"), name="sessions_event_of_user"),
            models.Index(fields=("at",), name="sessions_event_at"),
            models.Index(fields=("at", "sub"), condition=Q(type="opened"), name="sessions_event_opened"),
        )

    def __str__(self) -> str:
        return f"{self.type} #{self.pk}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("session events are append only")
        super().save(*args, **kwargs)
