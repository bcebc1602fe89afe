"""Connections in the admin, with what their identity providers told us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from idp.admin.connections import pages
from idp.admin.connections.heard import Heard
from idp.admin.support import AdminAct
from idp.connections.checks import Finding
from idp.connections.contract import UpstreamFault
from idp.connections.places import BUSY, turn
from idp.models import Connection
from idp.protocol.initiators import Initiator
from logout_app.admin import provisioned, reauthentication
from logout_app.admin.signals import received as signals
from logout_app.ending import not_told
from logout_app.gtr import check
from logout_app.models import RevocationRequest
from logout_app.shared_signals import check as signals_check
from sessions_app.signin import trial
from sessions_app.views.signin import trial_page

BY_PASSWORD = "try-password"
SHOWN = 10  # requests; the newest


@admin.register(Connection)
class ConnectionAdmin(pages.ConnectionAdminBase):
    """Registered here, so that what ends sessions can be shown and done on the page."""

    def get_acts(self) -> Sequence[AdminAct]:
        acts = map(saying_the_untried, map(naming_the_untold, super().get_acts()))
        own = (self.test_revocation, self.sign_in_as_yourself, self.sign_in_by_password, self.check_signals)
        return (*own, *signals.ACTS, reauthentication.CONNECTION, *acts)

    def may_do(self, request: HttpRequest, obj: Any, act: AdminAct) -> bool:
        """Whose sessions must be proved again may be people with powers, whom only superusers touch."""
        allowed, guarded = super().may_do(request, obj, act), {*signals.GUARDED, reauthentication.CONNECTION.name}
        if act.name == reauthentication.CONNECTION.name:
            allowed = self.has_operate_permission(request, obj)
        return allowed and (act.name not in guarded or pages.is_theirs(request, obj))

    def _does_it_work(self, request: HttpRequest, connection: Connection) -> dict[str, Any]:
        return {
            **super()._does_it_work(request, connection),
            "signals": signals.panel(connection),
            "may_send_signals": signals.are_possible(connection),
            "provisioning_lag": provisioned.lag(connection),
        }

    @property
    def test_revocation(self) -> AdminAct:
        return AdminAct(
            "test-revocation",
            "Send a test request",
            explain_test_request,
            self.do_test_revocation,
            offered=check.is_offered,
            danger=False,
        )

    def do_test_revocation(
        self, request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None
    ) -> HttpResponse:
        with turn(BUSY):
            findings = check.check(connection, at)
        return self._found(request, connection, "Send a test request", findings)

    @property
    def check_signals(self) -> AdminAct:
        return AdminAct(
            "check-signals",
            "Check signals",
            explain_check_of_signals,
            self.do_check_signals,
            offered=signals_check.is_offered,
            danger=False,
        )

    def do_check_signals(
        self, request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None
    ) -> HttpResponse:
        with turn(BUSY):
            findings = signals_check.check(connection)
        return self._found(request, connection, "Check signals", findings)

    def _found(
        self, request: HttpRequest, connection: Connection, title: str, findings: Sequence[Finding]
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "object": connection,
            "object_url": self.object_url(connection),
            "findings": findings,
        }
        return TemplateResponse(request, "admin/idp/connection/test.html", context)

    @property
    def sign_in_as_yourself(self) -> AdminAct:
        return AdminAct(
            "try", "Sign in as yourself", explain_trial, self.do_trial, offered=trial.leads_elsewhere, danger=False
        )

    @property
    def sign_in_by_password(self) -> AdminAct:
        return AdminAct(
            BY_PASSWORD,
            "Sign in as yourself",
            explain_trial_by_password,
            self.do_trial_by_password,
            offered=trial.takes_password,
            danger=False,
            form=lambda _connection, data: trial_page.PasswordTrialForm(data),
        )

    @method_decorator(sensitive_post_parameters("password"))
    def act_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        return super().act_view(request, object_id, name)

    def do_trial_by_password(
        self, request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None
    ) -> HttpResponse:
        said = form.cleaned_data if form else {}
        return trial_page.by_password(
            request, connection, said["username"], said["password"], self.object_url(connection), at
        )

    def do_trial(
        self, request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None
    ) -> HttpResponse:
        try:
            return trial.start(request, connection, self.object_url(connection), at)
        except UpstreamFault as error:
            context = {
                **self.admin_site.each_context(request),
                "title": "Sign in as yourself",
                "opts": self.opts,
                "object": connection,
                "object_url": self.object_url(connection),
                "problem": error.reason,
            }
            return TemplateResponse(request, "admin/idp/connection/trial.html", context)

    def trials(self, request: HttpRequest, connection: Connection) -> list[pages.OpeningStep]:
        if not trial.is_offered(connection):
            return []
        act = BY_PASSWORD if trial.takes_password(connection) else "try"
        url = self.act_url(connection, act) if self.has_act_permission(request, connection) else ""
        done = trial.last_passed(connection) is not None
        return [pages.OpeningStep("Sign in through it as yourself.", url, done)]

    def heard(self, connection: Connection) -> Sequence[Heard]:
        """The last Global Token Revocation requests in the connection's name, and what they were answered."""
        rows = RevocationRequest.objects.filter(connection=connection).select_related("event").order_by("-at", "-pk")
        return [_heard(row) for row in rows[:SHOWN]]

    def provisioned(self, connection: Connection) -> Sequence[Heard]:
        return provisioned.lately(connection)


def naming_the_untold(act: AdminAct) -> AdminAct:
    """*Disable* ends sessions, and its page says which applications do not hear of it."""
    if act.name != "disable":
        return act

    def explain(connection: Connection) -> list[str]:
        applications = not_told.in_use_through(connection, timezone.now())
        return [
            *act.explain(connection),
            *not_told.sentences(applications, Initiator.SESSION_REVOKED, whole_user=False),
        ]

    return replace(act, explain=explain)


def saying_the_untried(act: AdminAct) -> AdminAct:
    """*Enable* says what was left out. It is no condition: an identity provider may know nobody who administers this one."""
    if act.name != pages.ENABLE.name:
        return act

    def explain(connection: Connection) -> list[str]:
        is_untried = trial.is_offered(connection) and trial.last_passed(connection) is None
        untried = ["Nobody has signed in through it as a test yet."] if is_untried else []
        return [*act.explain(connection), *untried]

    return replace(act, explain=explain)


def explain_trial(connection: Connection) -> list[str]:
    return [
        f"You are led to {connection}, sign in there, and are shown what it says of you.",
        "You stay signed in here as you are, no person or session is made, and nobody else notices. It may be closed meanwhile.",
    ]


def explain_trial_by_password(connection: Connection) -> list[str]:
    return [
        f"{connection} is asked whether this is your password, as when you sign in, and you are shown what it says of you.",
        "You stay signed in here as you are, and no person or session is made. Name and password are not kept; a wrong one "
        "counts as a wrong sign-in.",
    ]


def explain_test_request(connection: Connection) -> list[str]:
    return [
        f"The address that {connection} would send a Global Token Revocation request to gets one without a token.",
        "The keys that would verify it are looked at. Nothing is signed, and nobody is signed out.",
    ]


def explain_check_of_signals(connection: Connection) -> list[str]:
    return [
        f"The address at which {connection} would push security events is asked, and the transmitter's metadata and keys.",
        "Nothing is signed, and the transmitter is told nothing.",
    ]


def _heard(request: RevocationRequest) -> Heard:
    whom = request.sub or request.subject or "nobody"
    url = reverse("admin:logout_app_logoutevent_change", args=(request.event_id,)) if request.event_id else ""
    if request.status == 204:
        ended = request.event.sessions_ended if request.event else 0
        text = f"Revoked everything of {whom}: {ended} session{'s' * (ended != 1)} ended."
        return Heard(request.at, "fine", text, url)
    about = f" (about {whom})" if request.subject else ""
    return Heard(request.at, "bad", f"Refused with {request.status}{about}: {request.reason}", url)
