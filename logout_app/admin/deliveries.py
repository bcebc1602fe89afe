"""Deliveries with every attempt, the events that planned them, and *Redeliver*."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timesince

from idp.admin.search import FindsPeople
from idp.admin.support import AdminAct, FactsAdmin, FactsInline
from idp.admin.times import filter_by
from logout_app.delivery import redeliver
from logout_app.delivery.channels.registry import SENT
from logout_app.delivery.receiver import is_application
from logout_app.models import (
    DeliveryAttempt,
    DeliveryState,
    DeliveryTally,
    DrainReport,
    LogoutDelivery,
    LogoutEvent,
    LogoutTransaction,
)

ICONS = {
    DeliveryState.PENDING: "…",
    DeliveryState.DELIVERED: "✓",
    DeliveryState.LOADED: "◐",
    DeliveryState.DEAD: "✕",
    DeliveryState.DROPPED: "∅",
    DeliveryState.NOT_TOLD: "⊘",
}


def state_of(delivery: LogoutDelivery) -> str:
    """Icon, word and colour."""
    icon = ICONS[DeliveryState(delivery.state)]
    return format_html('<span class="state state-{}">{} {}</span>', delivery.state, icon, delivery.state_in_words)


def can_be_sent(delivery: LogoutDelivery) -> bool:
    unfinished = delivery.state in (DeliveryState.PENDING, DeliveryState.DEAD)
    deleted = is_application(delivery.receiver) and delivery.application_id is None
    return unfinished and delivery.channel in SENT and not deleted


def do_redeliver(request: HttpRequest, delivery: LogoutDelivery, at: datetime, form: forms.Form | None) -> str:
    redeliver.deliveries([delivery.pk], at=at)
    return "It is sent again within a second. Reload to see the attempt."


REDELIVER = AdminAct(
    "redeliver",
    "Redeliver",
    lambda delivery: [
        f"A fresh token is posted to {delivery.application or delivery.client_id} now, at the URL that it has today.",
        "It is tried again as often as a new delivery would be.",
    ],
    do_redeliver,
    offered=can_be_sent,
    danger=False,
    operates=True,
)


class AttemptInline(FactsInline):
    model = DeliveryAttempt
    fields = ("number", "started_at", "duration_ms", "status", "outcome", "reason", "url", "jti")
    readonly_fields = fields
    ordering = ("number",)
    verbose_name_plural = "Attempts"


@admin.register(LogoutDelivery)
class LogoutDeliveryAdmin(FindsPeople, FactsAdmin):
    menu_rank = 0
    empty = "None. When a session ends, one row appears for each application and channel that must hear of it."
    list_display = ("shown_state", "to", "channel", "age", "attempts", "last_status", "last_reason", "sub")
    list_filter = ("state", filter_by("event__at", "the end"), "channel", "application")
    list_select_related = ("application",)
    allowed_lookups = ("event", "session", "receiver", "finished_at", "last_reason__startswith")
    search_fields = ("=sub", "=sid", "=client_id")
    search_help_text = "A person's address or name; a whole user id, sid or client id."
    inlines = (AttemptInline,)
    actions = ("redeliver_selected",)
    readonly_fields = ("shown_state", "age")
    fields = (
        "shown_state",
        "event",
        "session",
        "application",
        "receiver",
        "client_id",
        "sub",
        "sid",
        "channel",
        "age",
        "created_at",
        "due_at",
        "lease_until",
        "attempts",
        "last_status",
        "last_reason",
        "finished_at",
    )

    def get_ordering(self, request: HttpRequest) -> Any:
        return (F("finished_at").desc(nulls_first=True), "-pk")  # what still waits comes first

    @admin.display(description="state", ordering="state")
    def shown_state(self, obj: LogoutDelivery) -> str:
        return state_of(obj)

    @admin.display(description="application", ordering="client_id")
    def to(self, obj: LogoutDelivery) -> str:
        return str(obj.application or obj.client_id)

    @admin.display(description="age", ordering="created_at")
    def age(self, obj: LogoutDelivery) -> str:
        """Until it was finished, or until now."""
        end = obj.finished_at or timezone.now()
        seconds = max(0.0, (end - obj.created_at).total_seconds())
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s" if seconds < 60 else timesince(obj.created_at, end, depth=1)

    def get_acts(self) -> Sequence[AdminAct]:
        return (REDELIVER,)

    def has_redeliver_permission(self, request: HttpRequest) -> bool:
        return self.may_do(request, None, REDELIVER)

    @admin.action(description="Redeliver the selected", permissions=["redeliver"])
    def redeliver_selected(self, request: HttpRequest, queryset: QuerySet[LogoutDelivery]) -> None:
        pks = list(queryset.values_list("pk", flat=True))
        done = redeliver.deliveries(pks, at=timezone.now())
        messages.success(
            request, f"{done} of {len(pks)} are sent again. What was delivered, dropped or not told stays so."
        )


class DeliveryInline(FactsInline):
    model = LogoutDelivery
    fields = ("client_id", "channel", "state", "attempts", "last_status", "last_reason", "finished_at")
    readonly_fields = fields
    show_change_link = True
    max_num = 100
    verbose_name_plural = "Who is told"


@admin.register(LogoutEvent)
class LogoutEventAdmin(FindsPeople, FactsAdmin):
    menu_rank = 0
    empty = "None. One row appears for every act that ended sessions: who did it, and why."
    list_display = ("at", "initiator", "actor", "sub", "sessions_ended", "families_revoked")
    list_filter = (filter_by("at"), "initiator")
    search_fields = ("=sub", "=actor")
    search_help_text = "A person's address or name, a whole user id, or a whole actor like app:{client id}."
    fields = ("at", "initiator", "actor", "user", "sub", "sessions_ended", "families_revoked", "data")
    inlines = (DeliveryInline,)


@admin.register(LogoutTransaction)
class LogoutTransactionAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("pk", "event", "session", "application", "created_at", "expires_at")
    list_filter = ("application",)
    list_select_related = ("event", "session", "application")
    fields = ("event", "session", "application", "return_url", "created_at", "expires_at")


@admin.register(DeliveryTally)
class DeliveryTallyAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("metric", "label", "value")
    list_filter = ("metric",)
    fields = list_display


@admin.register(DrainReport)
class DrainReportAdmin(FactsAdmin):
    empty = "None. Each worker that delivers has a row, and renews it every few seconds."
    list_display = ("name", "seen_at", "held", "stuck_for", "reason", "idle_for")
    fields = list_display
