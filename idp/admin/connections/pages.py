"""A connection's pages: first the strategy and the name, then its form; does it work, what to paste where, and its acts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from idp.admin.connections import paste, provisioning
from idp.admin.connections.by_strategy import FORMS
from idp.admin.connections.forms import ConnectionForm, NewConnectionForm
from idp.admin.connections.heard import Heard
from idp.admin.support import ActsAdmin, AdminAct, actor_of, author_of
from idp.connections import health, rules, trust
from idp.connections.options import KEYS
from idp.connections.places import BUSY, turn
from idp.http.requests import facts
from idp.models import Connection, ConnectionCheck, Strategy
from idp.people import accounts


def do_disable(request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None) -> str:
    accounts.disable_connection(connection, actor=actor_of(request), at=at)
    return f"{connection} is closed and its sessions have ended."


def do_enable(request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None) -> str:
    accounts.enable_connection(connection, actor=actor_of(request), at=at)
    return f"{connection} is open: people can sign in through it."


def explain_enable(connection: Connection) -> list[str]:
    """With what was not tried: it is no condition, as an identity provider may know nobody who administers this one."""
    lines = [f"People can sign in through {connection} from now on."]
    if is_tested(connection):
        tested_at, findings = health.last_findings(connection)
        if tested_at is None:
            lines.append("It was not tested yet.")
        lines += [f"The last test found: {finding.text}" for finding in findings if finding.level != "ok"]
    return lines


def is_tested(connection: Connection) -> bool:
    return connection.strategy != Strategy.DATABASE


DISABLE = AdminAct(
    "disable",
    "Disable this connection",
    lambda connection: [
        f"Nobody signs in through {connection} any more.",
        "Every session that began through it ends, and the applications are told.",
    ],
    do_disable,
    offered=lambda connection: connection.enabled,
)
ENABLE = AdminAct(
    "enable",
    "Enable this connection",
    explain_enable,
    do_enable,
    offered=lambda connection: not connection.enabled,
)


@dataclass(frozen=True, slots=True)
class OpeningStep:
    text: str
    url: str
    done: bool = False


class ConnectionAdminBase(ActsAdmin):
    menu_rank = 0
    empty = "None. Add where people come from: a database of ours, or an identity provider."
    change_form_template = "admin/idp/connection/change_form.html"
    list_display = ("name", "display_name", "strategy", "enabled", "works", "enabled_for_all", "people")
    list_filter = ("strategy", "enabled")
    search_fields = ("name", "display_name")
    readonly_fields = ("name", "strategy", "enabled")
    actions = None
    tells_itself = frozenset({"add", "change", "delete"})

    @admin.display(description="people", ordering="people_count")
    def people(self, obj: Any) -> int:
        count: int = obj.people_count
        return count

    @admin.display(description="last test")
    def works(self, obj: Any) -> str:
        """The worst of what the last test found, in a few words: icon and word."""
        if not hasattr(obj, "last_check"):
            return "not tested yet" if is_tested(obj) else ""
        levels = {entry["level"] for entry in obj.last_check.findings}
        return "✕ fails" if "error" in levels else "! needs attention" if "warning" in levels else "✓ works"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        connections: QuerySet[Connection] = super().get_queryset(request)
        return connections.select_related("last_check").annotate(people_count=Count("identities"))

    # --- acts ------------------------------------------------------------------------------------------------------

    def get_acts(self) -> Sequence[AdminAct]:
        return (self.test, *provisioning.acts(self), ENABLE, DISABLE)

    @property
    def test(self) -> AdminAct:
        return AdminAct("test", "Test connection", self.explain_test, self.do_test, offered=is_tested, danger=False)

    def explain_test(self, connection: Connection) -> list[str]:
        return [
            f"{connection} is asked from here, for at most ten seconds: its addresses, its keys, its certificates, its answers.",
            "Nobody is signed in or out by it.",
        ]

    def do_test(self, request: HttpRequest, connection: Connection, at: datetime, form: Any) -> HttpResponse:
        with turn(BUSY):
            findings = health.examine(connection, at=at)
        context = {
            **self.admin_site.each_context(request),
            "title": "Test connection",
            "opts": self.opts,
            "object": connection,
            "object_url": self.object_url(connection),
            "findings": findings,
        }
        return TemplateResponse(request, "admin/idp/connection/test.html", context)

    # --- who may change what it trusts ------------------------------------------------------------------------------

    def may_do(self, request: HttpRequest, obj: Any, act: AdminAct) -> bool:
        """Testing changes nothing; who opens and closes a connection decides who gets in."""
        return super().may_do(request, obj, act) and (act.name not in GUARDED or is_theirs(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or is_theirs(request, obj))

    def delete_model(self, request: HttpRequest, obj: Connection) -> None:
        found, at = trust.deletion(obj), timezone.now()
        trust.record(obj, found, actor=actor_of(request), at=at, facts=facts(request))
        super().delete_model(request, obj)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """What changed from what to what, for the history of the page."""
        message = super().construct_change_message(request, form, formsets, add)
        words = LogEntry(change_message=json.dumps(message)).get_change_message()
        return "\n".join([words, *map(str, form.differences)])

    # --- adding: strategy and name, then its form ---------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        first = first_step(request)
        return super().add_view(request, form_url, extra_context) if first.is_valid() else self._choose(request, first)

    def _choose(self, request: HttpRequest, form: NewConnectionForm) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Add connection",
            "opts": self.opts,
            "form": form,
            "list_url": reverse("admin:idp_connection_changelist"),
        }
        return TemplateResponse(request, "admin/idp/connection/choose.html", context)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        advice = "Now press Test connection." if is_tested(obj) else "Now press Enable this connection."
        messages.success(request, f"{obj} is kept, and closed: nobody signs in through it yet. {advice}")
        return HttpResponseRedirect(self.object_url(obj))

    # --- the form ------------------------------------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Our form as it is: its fields depend on the row, so the form factory cannot know them."""
        form = FORMS[obj.strategy] if obj else _adding(first_step(request))

        class Guarded(form):  # type: ignore[misc, valid-type]
            author, back = author_of(request), request.get_full_path()

        return Guarded

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        form: ConnectionForm = self.get_form(request, obj)(**({"instance": obj} if obj else {}))
        state = ("enabled",) if obj else ()
        return (
            ("The connection", {"fields": ("name", "strategy", *state, "display_name", "icon_url")}),
            *form.fieldsets(),
            ("Who may use it", {"fields": ("enabled_for_all", "enabled_clients")}),
        )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {}  # the query is the first step's

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        if not change:
            obj.enabled = False  # it is tried before people meet it
        super().save_model(request, obj, form, change)
        at = timezone.now()
        trust.record(obj, form.differences, actor=actor_of(request), at=at, facts=facts(request))
        if form.changed_data:
            ConnectionCheck.objects.filter(connection=obj).delete()  # it was about other options

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        obj = kwargs.get("obj")
        connection = obj or _new(first_step(request))
        context["paste"] = paste.groups(connection)
        context["guarded"] = trust.concern(connection)
        context["show_save_and_add_another"] = False  # each begins with its strategy
        if obj:
            context |= self._does_it_work(request, obj)
            if request.method == "GET":
                for problem in rules.misshapen(obj):
                    messages.warning(request, f"What is stored would not be accepted today: {problem}.")
        return super().render_change_form(request, context, *args, **kwargs)

    def _may_test(self, request: HttpRequest, connection: Connection) -> bool:
        return is_tested(connection) and self.may_do(request, connection, self.test)

    def _does_it_work(self, request: HttpRequest, connection: Connection) -> dict[str, Any]:
        tested_at, findings = health.last_findings(connection)
        return {
            "obstacles": health.obstacles(connection),
            "last_sign_in": connection.identities.aggregate(at=Max("last_login_at"))["at"],
            "tested_at": tested_at,
            "findings": [finding for finding in findings if finding.level != "ok"],
            "is_tested": is_tested(connection),
            "test_url": self.act_url(connection, "test") if self._may_test(request, connection) else "",
            "steps": self.steps(request, connection) if not connection.enabled else [],
            "heard": self.heard(connection),
            "provisioning": provisioning.shown(connection),
            "provisioned": self.provisioned(connection),
            "provisioning_test_url": self.act_url(connection, provisioning.TEST)
            if provisioning.is_on(connection)
            else "",
        }

    def steps(self, request: HttpRequest, connection: Connection) -> list[OpeningStep]:
        """What comes before people meet a connection that is closed; the way there for whoever may go it."""
        may_open = self.may_do(request, connection, ENABLE)
        enable = OpeningStep(
            "Enable it: people can sign in through it.", self.act_url(connection, ENABLE.name) if may_open else ""
        )
        if not is_tested(connection):
            return [enable]
        tested_at, findings = health.last_findings(connection)
        works = tested_at is not None and all(finding.level != "error" for finding in findings)
        may_try = self.has_act_permission(request, connection)
        test = OpeningStep(
            "Test it: its addresses, keys and certificates.", self.act_url(connection, "test") if may_try else "", works
        )
        return [test, *self.trials(request, connection), enable]

    def trials(self, request: HttpRequest, connection: Connection) -> list[OpeningStep]:
        """The app above knows how somebody signs in."""
        return []

    def heard(self, connection: Connection) -> Sequence[Heard]:
        """What the identity provider told us lately, newest first; the app above knows it."""
        return ()

    def provisioned(self, connection: Connection) -> Sequence[Heard]:
        """What its source wrote lately, and what that ended; the app above knows it."""
        return ()


_OF_NEW_ONES = frozenset({"own_callback"})  # on in the form of a new connection (RFC 9700 section 4.4.2.1)
GUARDED = (ENABLE.name, DISABLE.name, *provisioning.NAMES)  # by name: the app above completes what an act says


def is_theirs(request: HttpRequest, connection: Connection) -> bool:
    return bool(request.user.is_superuser) or not trust.concern(connection)


def first_step(request: HttpRequest) -> NewConnectionForm:
    return NewConnectionForm(request.GET or None)


def _new(first: NewConnectionForm) -> Connection:
    """As its form begins. What makes one otherwise (a tenant file, Auth0's API) says it by name, so that addresses which
    are registered at providers already stay good."""
    row = first.save(commit=False)
    row.options = dict.fromkeys(sorted(_OF_NEW_ONES & KEYS[row.strategy]), True)
    return row


def _adding(first: NewConnectionForm) -> type[ConnectionForm]:
    """The form of a connection that does not exist yet."""
    form = FORMS[first.save(commit=False).strategy]

    class Adding(form):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "instance": kwargs.get("instance") or first.save(commit=False)})
            for name in _OF_NEW_ONES & self.fields.keys():
                self.fields[name].initial = True

    return Adding
