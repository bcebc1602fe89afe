"""The end of a session: what ended, who is to be told, and every attempt to tell them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from logout_app.delivery.receiver import APPLICATION


class LogoutEvent(models.Model):
    """One act of the door: one or many sessions ended together, for one reason."""

    at = models.DateTimeField(default=timezone.now)
    initiator = models.CharField(max_length=32)
    actor = models.CharField(
        max_length=255, help_text="Who did it: user, app:{client_id}, admin:{id}, upstream:{connection}, system."
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    sub = models.CharField(max_length=255, blank=True)
    sessions_ended = models.PositiveIntegerField(default=0)
    families_revoked = models.PositiveIntegerField(default=0)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("at",), name="logout_event_at"),
            models.Index(fields=("sub", "at"), name="logout_event_of_user"),
        )

    def __str__(self) -> str:
        return f"{self.initiator} #{self.pk}"


class LogoutTransaction(models.Model):
    """The sign-out page's capability: the path holds a random token, the browser a second one; both are stored hashed."""

    token_hash = models.CharField(max_length=64, unique=True)
    browser_hash = models.CharField(max_length=64)
    event = models.ForeignKey(LogoutEvent, null=True, on_delete=models.SET_NULL, related_name="+")
    session = models.ForeignKey("sessions_app.SSOSession", null=True, on_delete=models.SET_NULL, related_name="+")
    application = models.ForeignKey("idp.Application", null=True, on_delete=models.SET_NULL, related_name="+")
    return_url = models.TextField(blank=True, help_text="Validated before it was stored; state included.")
    upstream = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("expires_at",), name="logout_transaction_purge"),)

    def __str__(self) -> str:
        return f"transaction #{self.pk}"

    @property
    def leads_to(self) -> str:
        """Where the browser may go on to: nowhere, if the application that asked was disabled since."""
        return "" if self.application is not None and not self.application.enabled else self.return_url


class Channel(StrEnum):
    """Names of the channels that the planner and the sign-out page speak of; `delivery/channels/registry.py` has them all."""

    BACKCHANNEL = "backchannel"
    FRONTCHANNEL = "frontchannel"
    SAML_SOAP = "saml_soap"
    SAML_BROWSER = "saml_browser"
    GTR = "gtr"
    REAUTHENTICATION = "reauthentication"
    COMMAND = "command"
    STREAM = "stream"
    POLL = "poll"
    WEBHOOK = "webhook"
    NONE = "none"


IN_FRAMES = (Channel.FRONTCHANNEL, Channel.SAML_BROWSER)  # the browser's, not a worker's
OF_STREAMS = (Channel.STREAM, Channel.POLL, Channel.WEBHOOK)
OF_NO_END = (
    Channel.REAUTHENTICATION,
    Channel.COMMAND,
    *OF_STREAMS,
)  # who is told by them is no application that somebody is signed in to


def channel_choices() -> list[tuple[str, str]]:
    """The registry's, so that a new channel is no migration."""
    from logout_app.delivery.channels.registry import CHANNELS  # the channels' SQL names these models

    return [(channel.name, channel.title) for channel in CHANNELS]


class DeliveryState(models.TextChoices):
    PENDING = "pending", "Waiting"
    DELIVERED = "delivered", "Signed out"
    LOADED = "loaded", "Page loaded, not confirmed"
    DEAD = "dead", "No answer"
    DROPPED = "dropped", "Dropped: nothing left to tell"
    NOT_TOLD = "not_told", "Not told"


HIGHEST = 2**31 - 1  # of a PostgreSQL integer
NEXT_FENCE = Case(When(fence__gte=HIGHEST, then=Value(1)), default=F("fence") + 1)


class LogoutDeliveryQuerySet(models.QuerySet["LogoutDelivery"]):
    def sendable(self) -> Self:
        """Rows that a worker sends; front-channel rows are the browser's, and a receiver comes for polled ones itself."""
        rows = self.exclude(channel=Channel.FRONTCHANNEL)  # by itself, as the partial indexes spell it
        return rows.exclude(channel__in=(Channel.SAML_BROWSER, Channel.POLL))

    def of_ends(self) -> Self:
        """Rows that tell an application of an end: without those of a session that must be proved again, and streams."""
        return self.exclude(channel__in=OF_NO_END)

    def commands(self) -> Self:
        """Rows that tell an application what becomes of somebody's account there."""
        return self.filter(channel=Channel.COMMAND)

    def addressed(self) -> Self:
        """Rows that have a receiver: without those of an application that was deleted since."""
        of_application = Q(receiver=None) | Q(receiver__startswith=APPLICATION)
        return self.sendable().exclude(of_application, application=None)

    def due(self, at: datetime) -> Self:
        return self.sendable().filter(
            Q(lease_until__isnull=True) | Q(lease_until__lte=at), state=DeliveryState.PENDING, due_at__lte=at
        )


class LogoutDelivery(models.Model):
    """One receiver to be told on one channel: an outbox row. Facts, never tokens; URL and keys are read when it is sent.

    `not_told` with channel `none`: it took part, and there was no way to tell it; `last_reason` says why. Such a row was
    finished when it was written.
    """

    event = models.ForeignKey(
        LogoutEvent,
        null=True,  # a stream tells of more than ends
        on_delete=models.CASCADE,
        db_index=False,  # `logout_delivery_once` begins with it
        related_name="deliveries",
    )
    session = models.ForeignKey("sessions_app.SSOSession", null=True, on_delete=models.SET_NULL, related_name="+")
    application = models.ForeignKey("idp.Application", null=True, on_delete=models.SET_NULL, related_name="+")
    receiver = models.CharField(
        max_length=64,
        null=True,  # an earlier release writes none
        help_text="Whom a worker tells; empty: no worker does. `delivery/receiver.py` says how it is spelt.",
    )
    client_id = models.CharField(max_length=255)
    sub = models.CharField(max_length=255)
    sid = models.CharField(max_length=50, blank=True)
    channel = models.CharField(max_length=16, choices=channel_choices)
    state = models.CharField(max_length=12, choices=DeliveryState, default=DeliveryState.PENDING)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveIntegerField(
        default=0, help_text="Grows with each claim; a result with an older fence is void."
    )
    attempts = models.PositiveIntegerField(default=0)
    last_status = models.PositiveSmallIntegerField(null=True, blank=True)
    last_reason = models.CharField(max_length=500, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager[LogoutDelivery]] = LogoutDeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "logout deliveries"
        constraints = (
            models.UniqueConstraint(fields=("event", "session", "application", "channel"), name="logout_delivery_once"),
            models.CheckConstraint(
                condition=Q(state="pending", finished_at__isnull=True)
                | (~Q(state="pending") & Q(finished_at__isnull=False)),
                name="logout_delivery_finished_at",
            ),
        )
        indexes = (
            models.Index(  # of SQLite; PostgreSQL has dropped it
                fields=("due_at", "id"),
                condition=Q(state="pending") & ~Q(channel="frontchannel"),
                name="logout_delivery_due",
            ),
            models.Index(
                fields=("receiver", "due_at", "id"),
                condition=Q(state="pending") & ~Q(channel="frontchannel"),
                name="logout_delivery_of_receiver",
            ),
            models.Index(fields=("application", "created_at"), condition=Q(state="dead"), name="logout_delivery_dead"),
            models.Index(fields=("finished_at",), condition=Q(finished_at__isnull=False), name="logout_delivery_purge"),
            models.Index(
                fields=("finished_at", "application"), condition=Q(state="not_told"), name="logout_delivery_not_told"
            ),
        )

    def __str__(self) -> str:
        return f"delivery #{self.pk}"

    @property
    def sign_out(self) -> LogoutEvent:
        """The end that a row `of_ends` tells of."""
        if self.event is None:
            raise ValueError("a stream's delivery may tell of something else")
        return self.event

    @property
    def state_in_words(self) -> str:
        """What became of it. Whoever took the word that a session must be proved again has signed nobody out."""
        if self.channel in OF_NO_END and self.state == DeliveryState.DELIVERED:
            return "Told"
        return str(DeliveryState(self.state).label)


class DeliveryAttempt(models.Model):
    """One attempt and what came of it.

    It is one POST, or two when a kept connection ended before anybody answered; then `jti` is the second's.
    """

    delivery = models.ForeignKey(LogoutDelivery, on_delete=models.CASCADE, related_name="attempt_log", db_index=False)
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    outcome = models.CharField(max_length=16, help_text="delivered, retry, refused, misconfigured, dropped ...")
    reason = models.CharField(max_length=500, blank=True)
    url = models.CharField(max_length=1000, blank=True)
    jti = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("delivery", "number"), name="logout_attempt_number"),)

    def __str__(self) -> str:
        return f"attempt {self.number} of delivery #{self.delivery_id}"


class DeliveryTally(models.Model):
    """A number that /metrics shows, kept by the workers in the transaction of what it counts.

    Every web process of every machine can show it, it never goes down, and no history table is counted for it.
    """

    metric = models.CharField(max_length=24)
    label = models.CharField(max_length=255, blank=True)
    value = models.FloatField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("metric", "label"), name="logout_tally_once"),)

    def __str__(self) -> str:
        return f"{self.metric} {self.label}"


class DrainReport(models.Model):
    """What a worker says of itself every few seconds, by the database's clock: /readyz and /metrics of every web process know it."""

    name = models.CharField(max_length=255, unique=True, help_text="Host and process.")
    seen_at = models.DateTimeField()
    held = models.PositiveIntegerField(default=0, help_text="Answers of applications that are not recorded yet.")
    stuck_for = models.FloatField(null=True, help_text="Seconds for which nothing could be recorded; empty: it can.")
    reason = models.CharField(max_length=500, blank=True)
    idle_for = models.FloatField(
        null=True, help_text="Seconds since it last ran a scheduled task; empty: it does not tell."
    )

    def __str__(self) -> str:
        return self.name


class RevocationRequest(models.Model):
    """A Global Token Revocation request in a connection's name, and what it was answered: the connection's page shows them."""

    connection = models.ForeignKey("idp.Connection", on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    status = models.PositiveSmallIntegerField(help_text="Of our answer: 204 if the person is signed out.")
    reason = models.CharField(max_length=500, blank=True, help_text="Why it was refused.")
    subject = models.CharField(max_length=600, blank=True, help_text="Whom it named, and in which format.")
    sub = models.CharField(max_length=255, blank=True, help_text="The person that was found.")
    jti = models.CharField(max_length=255, blank=True)
    event = models.ForeignKey(LogoutEvent, null=True, on_delete=models.SET_NULL, related_name="+")
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("connection", "-at"), name="logout_gtr_of_connection"),
            models.Index(fields=("at",), name="logout_gtr_purge"),
        )

    def __str__(self) -> str:
        return f"revocation request #{self.pk}"


class SignalStream(models.Model):
    """The stream of security events that *Connect* made at a connection's transmitter; without one, events come by hand."""

    connection = models.OneToOneField("idp.Connection", on_delete=models.CASCADE, related_name="signal_stream")
    issuer = models.CharField(max_length=1000)
    stream_id = models.CharField(max_length=255)
    method = models.CharField(max_length=8, help_text="push or poll")
    audiences = models.JSONField(default=list)
    endpoint = models.CharField(max_length=1000, help_text="Ours, or the transmitter's if it is asked.")
    push_secret = models.CharField(
        max_length=64, blank=True, editable=False, help_text="SHA-256 of the Authorization header of pushes."
    )
    status = models.CharField(max_length=16, default="enabled", help_text="As the transmitter says.")
    reason = models.CharField(max_length=500, blank=True)
    connected_at = models.DateTimeField(default=timezone.now)
    verification_state = models.CharField(max_length=64, blank=True, editable=False)
    verification_asked_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    polled_at = models.DateTimeField(null=True, help_text="The last poll that was answered.")
    poll_fault = models.CharField(max_length=500, blank=True, help_text="Why the last poll was not answered.")

    def __str__(self) -> str:
        return f"stream {self.stream_id}"


class ReceivedSignal(models.Model):
    """A security event in a connection's name, and what was made of it: the connection's page shows them."""

    connection = models.ForeignKey("idp.Connection", on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    issued_at = models.DateTimeField(null=True, help_text="When it was signed, if it was believed.")
    error = models.CharField(max_length=32, blank=True, help_text="RFC 8935's code; empty: it was accepted.")
    type = models.CharField(max_length=255, blank=True)
    effect = models.CharField(max_length=32, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    subject = models.CharField(max_length=600, blank=True, help_text="Whom it named, and in which format.")
    sub = models.CharField(max_length=255, blank=True, help_text="The person that was found.")
    sessions = models.PositiveIntegerField(default=0, help_text="That ended, or have to be proved again.")
    jti = models.CharField(max_length=255, blank=True)
    event = models.ForeignKey(LogoutEvent, null=True, on_delete=models.SET_NULL, related_name="+")
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("connection", "-at"), name="logout_signal_of_connection"),
            models.Index(fields=("at",), name="logout_signal_purge"),
        )

    def __str__(self) -> str:
        return f"signal #{self.pk}"


class StreamKind(models.TextChoices):
    SSF = "ssf", "Shared Signals stream"
    WEBHOOK = "webhook", "Webhook"


class StreamState(models.TextChoices):
    ENABLED = "enabled", "Enabled"
    PAUSED = "paused", "Paused: events are held"
    DISABLED = "disabled", "Disabled: events are not kept"


class StreamMethod(models.TextChoices):
    PUSH = "push", "Push"
    POLL = "poll", "Poll"


class EventStream(models.Model):
    """Who is told what the audit trail says, in its order: a receiver of Shared Signals, or a webhook.

    `after` is how far it has read the trail: what is beyond is held there while the stream is paused, or its receiver away.
    """

    kind = models.CharField(max_length=8, choices=StreamKind, default=StreamKind.SSF)
    public_id = models.CharField(max_length=32, unique=True, editable=False)
    name = models.CharField(max_length=100)
    application = models.ForeignKey(
        "idp.Application",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="That manages the stream by the API. Empty: it is managed here.",
    )
    method = models.CharField(max_length=8, choices=StreamMethod, default=StreamMethod.PUSH)
    older_names = models.BooleanField(default=False, help_text="The method is called as drafts had it (Apple).")
    endpoint = models.CharField(max_length=1000, blank=True)
    authorization = models.TextField(blank=True, editable=False, help_text="Sealed.")
    secret = models.TextField(blank=True, editable=False, help_text="Of signatures of a webhook; sealed.")
    audiences = models.JSONField(default=list, blank=True)
    description = models.CharField(max_length=1000, blank=True)
    events = models.JSONField(default=list, blank=True, help_text="What was asked for, by URI or type.")
    status = models.CharField(max_length=8, choices=StreamState, default=StreamState.ENABLED)
    reason = models.CharField(max_length=500, blank=True)
    halted = models.BooleanField(default=False, editable=False, help_text="By an administrator, who alone ends it.")
    algorithm = models.CharField(max_length=8, default="RS256")
    subject_format = models.CharField(max_length=8, default="iss_sub")
    subject_place = models.CharField(max_length=8, default="sub_id")
    body_format = models.CharField(max_length=8, default="object")
    as_events = models.BooleanField(
        default=False,
        editable=False,
        help_text="The Management API lists it among event streams, not among log streams.",
    )
    after = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    used_at = models.DateTimeField(default=timezone.now, editable=False, help_text="When its receiver last came here.")
    verification_asked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("application",), condition=Q(kind="ssf"), name="logout_one_stream_for_each_application"
            ),
        )

    def __str__(self) -> str:
        return self.name or self.public_id

    @property
    def is_enabled(self) -> bool:
        return self.status == StreamState.ENABLED


class OutgoingStream(EventStream):
    """A receiver of Shared Signals, as administrators see it: rows of that kind."""

    class Meta:
        proxy = True
        verbose_name = "Shared Signals stream"


class Webhook(EventStream):
    """A program of one's own that hears of lines of the audit trail: rows of that kind."""

    class Meta:
        proxy = True
        verbose_name = "webhook"


class StreamItem(models.Model):
    """What a delivery of a stream tells: facts that are signed when they are sent. A webhook's are its line of the trail."""

    delivery = models.OneToOneField(LogoutDelivery, on_delete=models.CASCADE, related_name="stream_item")
    stream = models.ForeignKey(
        EventStream,
        on_delete=models.CASCADE,
        db_index=False,  # `logout_stream_item_jti` begins with it
        related_name="items",
    )
    line = models.BigIntegerField(null=True, help_text="The line of the audit trail; empty: it is about the stream.")
    type = models.CharField(max_length=255, help_text="The event's URI, or the line's type.")
    jti = models.CharField(max_length=64, help_text="The same at each attempt, and whenever the line is told again.")
    facts = models.JSONField(default=dict)

    class Meta:
        indexes = (models.Index(fields=("stream", "jti"), name="logout_stream_item_jti"),)

    def __str__(self) -> str:
        return f"{self.type} {self.jti}"


class SubjectExclusion(models.Model):
    """A subject that a receiver took out of its stream; all others are in it."""

    stream = models.ForeignKey(EventStream, on_delete=models.CASCADE, related_name="exclusions")
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("stream", "digest"), name="logout_exclusion_once"),)

    def __str__(self) -> str:
        return f"exclusion #{self.pk}"


class FormerAddress(models.Model):
    """The address of a person before it changed, or before they were deleted, for streams that name people by it.

    Kept for as long as streams may still have to tell of them.
    """

    sub = models.CharField(max_length=255)
    address = models.CharField(max_length=254)
    until = models.DateTimeField(default=timezone.now, help_text="When it ceased to be theirs.")

    class Meta:
        indexes = (
            models.Index(fields=("sub", "until"), name="logout_former_address"),
            models.Index(fields=("until",), name="logout_former_address_purge"),
        )

    def __str__(self) -> str:
        return f"former address #{self.pk}"
