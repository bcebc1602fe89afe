"""Sessions, tokens and their history in the admin: facts to read. Nothing here shows a secret or its hash.

The page of a session is completed by `logout_app.admin`, as ending one is the door's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from idp.admin.support import AdminAct, FactsAdmin, StrictAdmin, may_touch
from idp.admin.times import filter_by
from sessions_app.admin import audit  # noqa: F401  registers its page
from sessions_app.models import (
    Consent,
    DeviceGrant,
    FlowState,
    RefreshTokenFamily,
    SessionClient,
    SSOSession,
)

OF_A_PERSON = ("user__email", "=user__user_id")


class LiveFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return (("live", "Live"), ("ended", "Ended"), ("overdue", "Past a limit, not ended yet"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        if self.value() == "live":
            alive = Q(user__revoked_before__isnull=True) | Q(user__revoked_before__lt=F("auth_time"))
            return queryset.filter(
                alive, ended_at=None, expires_at__gt=now, idle_expires_at__gt=now, user__is_active=True
            )
        if self.value() == "ended":
            return queryset.filter(ended_at__isnull=False)
        if self.value() == "overdue":
            return queryset.filter(Q(expires_at__lte=now) | Q(idle_expires_at__lte=now), ended_at=None)
        return queryset


class SSOSessionAdminBase(FactsAdmin):
    menu_rank = 0
    empty = "Nobody is here. A session appears when somebody signs in; it stays as history after its end."
    list_display = ("session", "user", "state", "connection", "last_application", "created_at", "last_seen_at")
    list_filter = (LiveFilter, filter_by("created_at", "sign-in"), "connection", "end_initiator")
    list_select_related = ("user", "connection", "last_application")
    search_fields = ("=sid", *OF_A_PERSON)
    search_help_text = "A whole sid, an e-mail address, or a whole user id."
    fieldsets = (
        ("Who", {"fields": ("user", "state", "connection", "account", "sid", "upstream_sid")}),
        (
            "When",
            {"fields": ("auth_time", "stale_at", "amr", "created_at", "last_seen_at", "idle_expires_at", "expires_at")},
        ),
        ("Where", {"fields": ("initial_ip", "initial_user_agent", "last_ip", "last_user_agent", "metadata")}),
    )
    readonly_fields = ("state", "account")

    @admin.display(description="identity")
    def account(self, obj: SSOSession) -> str:
        """Without a link: its own page is the machinery's."""
        return str(obj.identity or "-")

    def has_act_permission(self, request: HttpRequest, obj: Any) -> bool:
        return super().has_act_permission(request, obj) and may_touch(request, obj.user)

    def has_operate_permission(self, request: HttpRequest, obj: Any) -> bool:
        return super().has_operate_permission(request, obj) and may_touch(request, obj.user)

    @admin.display(description="session", ordering="pk")
    def session(self, obj: SSOSession) -> str:
        return f"#{obj.pk}"

    @admin.display(description="state")
    def state(self, obj: SSOSession) -> str:
        if obj.ended_at is not None:
            return f"ended: {obj.end_initiator}"
        if not obj.is_alive(timezone.now()):
            return "past a limit"
        return "live, must be proved again" if obj.is_stale else "live"


@admin.register(SessionClient)
class SessionClientAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("session", "application", "joined_at")
    list_filter = ("application",)
    list_select_related = ("session", "application")
    search_fields = ("=session__sid", "application__name", "=application__client_id")
    fields = ("session", "application", "joined_at")


def do_revoke_family(request: HttpRequest, family: RefreshTokenFamily, at: datetime, form: forms.Form | None) -> str:
    RefreshTokenFamily.objects.filter(pk=family.pk, revoked_at=None).update(revoked_at=at, revoke_reason="admin")
    return "Every refresh token of this family is dead, and the access tokens that came from it."


REVOKE_FAMILY = AdminAct(
    "revoke",
    "Revoke these tokens",
    lambda family: [
        f"{family.application} cannot refresh {family.user}'s tokens any more; opaque access tokens die with it.",
        "The session goes on. To sign the person out, end the session.",
    ],
    do_revoke_family,
    offered=lambda family: family.revoked_at is None,
    operates=True,
)


@admin.register(RefreshTokenFamily)
class RefreshTokenFamilyAdmin(FactsAdmin):
    empty = "None. One appears for each authorization that gave an application a refresh token."
    list_display = ("public_id", "user", "application", "state", "offline", "created_at", "last_exchanged_at")
    list_filter = ("offline", filter_by("created_at", "beginning"), "application", "revoke_reason")
    list_select_related = ("user", "application", "session__user")
    search_fields = ("=public_id", *OF_A_PERSON, "=sid")
    readonly_fields = ("state",)
    fields = (
        "public_id",
        "state",
        "user",
        "application",
        "session",
        "offline",
        "rotating",
        "generation",
        "scope",
        "audience",
        "sid",
        "auth_time",
        "created_at",
        "rotated_at",
        "last_exchanged_at",
        "idle_expires_at",
        "expires_at",
        "initial_ip",
        "initial_user_agent",
        "last_ip",
        "last_user_agent",
        "revoked_at",
        "revoke_reason",
    )

    @admin.display(description="state")
    def state(self, obj: RefreshTokenFamily) -> str:
        if obj.revoked_at is not None:
            return f"revoked: {obj.revoke_reason}"
        return "live" if obj.is_alive(timezone.now()) else "dead by its limits, session or user"

    def get_acts(self) -> Sequence[AdminAct]:
        return (REVOKE_FAMILY,)

    def has_act_permission(self, request: HttpRequest, obj: Any) -> bool:
        return super().has_act_permission(request, obj) and may_touch(request, obj.user)

    def has_operate_permission(self, request: HttpRequest, obj: Any) -> bool:
        return super().has_operate_permission(request, obj) and may_touch(request, obj.user)


# --- django-oauth-toolkit's tables: named in OAUTH2_PROVIDER ---------------------------------------------------------------
class AccessTokenAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("pk", "user", "application", "scope", "audience", "created", "expires", "revoked_at")
    list_filter = ("application",)
    list_select_related = ("user", "application")
    search_fields = OF_A_PERSON
    fields = (
        "user",
        "application",
        "session",
        "family",
        "scope",
        "audience",
        "created",
        "expires",
        "revoked_at",
    )


class RefreshTokenAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("pk", "user", "application", "family", "generation", "created", "revoked_at")
    list_filter = ("application",)
    list_select_related = ("user", "application", "family")
    search_fields = (*OF_A_PERSON, "=family__public_id")
    fields = ("user", "application", "family", "generation", "created", "revoked_at")


class AuthorizationCodeAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("pk", "user", "application", "session", "created", "expires", "used_at")
    list_filter = ("application",)
    list_select_related = ("user", "application", "session")
    search_fields = OF_A_PERSON
    fields = ("user", "application", "session", "redirect_uri", "scope", "audience", "created", "expires", "used_at")


class IDTokenAdmin(FactsAdmin):
    list_display = ("pk", "user", "application", "expires")
    list_select_related = ("user", "application")
    fields = ("user", "application", "expires")

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        return {}  # always empty: our ID tokens leave no row


@admin.register(DeviceGrant)
class DeviceGrantAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("pk", "application", "user", "status", "expires", "approved_at")
    list_filter = ("status", "application")
    list_select_related = ("application", "user")
    search_fields = OF_A_PERSON
    fields = ("application", "user", "session", "scope", "audience", "status", "expires", "approved_at", "polled_at")


@admin.register(Consent)
class ConsentAdmin(StrictAdmin):
    """What people allowed; deleting one makes the application ask again."""

    reads_standby = True
    list_display = ("user", "application", "scopes", "granted_at")
    list_filter = ("application",)
    list_select_related = ("user", "application")
    search_fields = OF_A_PERSON
    ordering = ("-pk",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(FlowState)
class FlowStateAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("pk", "kind", "connection", "created_at", "expires_at", "used_at")
    list_filter = ("kind", "connection")
    list_select_related = ("connection",)
    fields = ("kind", "connection", "created_at", "expires_at", "used_at")


@admin.register(Authenticator)
class AuthenticatorAdmin(FactsAdmin):
    """Second factors, without their secrets."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = OF_A_PERSON
    fields = list_display
