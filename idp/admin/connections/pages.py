"""Connections in the admin: first the strategy, then what this strategy needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from idp import accounts
from idp.admin.connections.forms import DatabaseConnectionForm, NewConnectionForm, form_for
from idp.admin.connections.heard import Heard
from idp.admin.support import Act, ActsAdmin, actor_of
from idp.models import Connection, Strategy


def endpoints(connection: Connection) -> list[tuple[str, str]]:
    """What the identity provider upstream is told about us."""
    if connection.strategy == Strategy.DATABASE:
        return []
    saml = connection.strategy == Strategy.SAML
    callback = f"login/callback/{connection.name}" if saml else "login/callback"
    return [
        ("Assertion consumer service" if saml else "Callback (redirect URI)", settings.ISSUER + callback),
    ]


def do_disable(request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None) -> str:
    accounts.disable_connection(connection, actor=actor_of(request), at=at)
    return f"{connection} is closed and its sessions have ended."


def do_enable(request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None) -> str:
    connection.enabled = True
    connection.save()
    return f"People can sign in through {connection} again."


DISABLE = Act(
    "disable",
    "Disable this connection",
    lambda connection: [
        f"Nobody signs in through {connection} any more.",
        "Every session that began through it ends, and the applications are told.",
    ],
    do_disable,
    offered=lambda connection: connection.enabled,
)
ENABLE = Act(
    "enable",
    "Enable this connection",
    lambda connection: [f"People can sign in through {connection} again."],
    do_enable,
    offered=lambda connection: not connection.enabled,
)


class ConnectionAdmin(ActsAdmin):
    menu_rank = 0
    empty = "None. Add where people come from: a database of ours, or an identity provider."
    change_form_template = "admin/idp/connection/change_form.html"
    list_display = ("name", "display_name", "strategy", "enabled", "enabled_for_all", "people")
    list_filter = ("strategy", "enabled")
    search_fields = ("name", "display_name")
    readonly_fields = ("name", "strategy", "enabled")
    actions = None

    @admin.display(description="people", ordering="people_count")
    def people(self, obj: Any) -> int:
        count: int = obj.people_count
        return count

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        connections: QuerySet[Connection] = super().get_queryset(request)
        return connections.annotate(people_count=Count("identities"))

    def get_acts(self) -> Sequence[Act]:
        return (ENABLE, DISABLE)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Our form as it is: its secret fields depend on the row, so the form factory cannot know them."""
        return form_for(obj) if obj else NewConnectionForm

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ((None, {"fields": ("name", "strategy", "display_name")}),)
        form = form_for(obj)(instance=obj)
        names = form.option_fields if form_for(obj) is DatabaseConnectionForm else ("options",)
        return (
            ("The connection", {"fields": ("name", "strategy", "enabled", "display_name", "icon_url")}),
            ("Options", {"fields": (*form.secret_fields(), *names)}),
            ("Who may use it", {"fields": ("enabled_for_all", "enabled_clients")}),
        )

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, f"{obj} exists. Now tell what its strategy needs.")
        return HttpResponseRedirect(self.object_url(obj))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        obj = kwargs.get("obj")
        context["endpoints"] = endpoints(obj) if obj else []
        context["heard"] = self.heard(obj) if obj else []
        return super().render_change_form(request, context, *args, **kwargs)

    def heard(self, connection: Connection) -> Sequence[Heard]:
        """What the identity provider told us lately, newest first; the app above knows it."""
        return ()
