"""Applications in the admin: does it work, what it did not hear, and what deleting it would leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from idp.admin import applications
from idp.admin.application_form import INITIATORS
from idp.admin.support import AdminAct
from idp.applications import rules
from idp.applications.problem import Problem
from idp.connections.places import BUSY, turn
from idp.models import Application
from logout_app.admin import claims_preview
from logout_app.admin.overview import not_told, not_told_url
from logout_app.delivery import preflight, redeliver, trial
from logout_app.models import DeliveryState, LogoutDelivery
from sessions_app.models import RefreshTokenFamily, SessionClient


def dead(application: Application) -> int:
    return LogoutDelivery.objects.filter(application=application, state=DeliveryState.DEAD).sendable().count()


def in_words(initiators: Sequence[str]) -> list[str]:
    words = dict(INITIATORS)
    return [words[initiator].lower() for initiator in initiators]


def not_told_today(application: Application) -> int:
    return not_told(timezone.now()).filter(application=application).count()


def against_the_rules(application: Application) -> dict[str, list[Problem]]:
    """What is stored and would not be accepted today, by whether it is used all the same."""
    problems = list(rules.problems(application))
    return {
        "unused": [problem for problem in problems if not problem.is_used],
        "tolerated": [problem for problem in problems if problem.is_used],
    }


def do_redeliver(request: HttpRequest, application: Application, at: datetime, form: forms.Form | None) -> str:
    return f"{redeliver.all_dead_of(application.pk, at=at)} deliveries are sent again."


def urls_of(application: Application) -> list[str]:
    """Where sign-outs reach the application."""
    saml = application.usable.saml
    uris = (application.frontchannel_logout_uri, application.backchannel_logout_uri)
    return [uri for uri in (*uris, saml.soap_logout_url or saml.logout_url) if uri]


def explain_preflight(application: Application) -> list[str]:
    return [
        f"Each is asked once from here, for at most five seconds: {', '.join(urls_of(application))}.",
        "The front-channel page gets a session that does not exist, the back channel a token that is none, a single logout service "
        "of SAML no request: nobody is signed out.",
    ]


def explain_test(application: Application) -> list[str]:
    return [
        f"{application} is posted what a sign-out posts, signed with our key, about a session and a person that there never were.",
        "Nobody is signed out, and it stands in no report. The next page says what came back.",
    ]


REDELIVER_DEAD = AdminAct(
    "redeliver",
    "Redeliver all dead",
    lambda application: [
        f"{dead(application)} sign-outs that {application} never took are posted to it again, with fresh logout tokens.",
    ],
    do_redeliver,
    offered=lambda application: dead(application) > 0,
    danger=False,
    operates=True,
)


class ApplicationAdmin(applications.ApplicationAdminBase):
    def get_acts(self) -> Sequence[AdminAct]:
        return (self.preflight, self.test_sign_out, REDELIVER_DEAD, self.preview, self.sample, *super().get_acts())

    @property
    def preview(self) -> AdminAct:
        return AdminAct(
            "preview",
            "Preview for a person",
            claims_preview.explain,
            self.do_preview,
            danger=False,
            form=claims_preview.PreviewForm,
        )

    def may_do(self, request: HttpRequest, obj: Any, act: AdminAct) -> bool:
        """What is known of people is for those who may look at them."""
        if act.name in ("preview", "sample-assertion") and not request.user.has_perm("idp.view_user"):
            return False
        return super().may_do(request, obj, act)

    def do_preview(
        self, request: HttpRequest, application: Application, at: datetime, form: forms.Form | None
    ) -> HttpResponse:
        assert isinstance(form, claims_preview.PreviewForm)  # noqa: S101  the act declares it
        context = {
            **self.admin_site.each_context(request),
            "title": "Preview for a person",
            "opts": self.opts,
            "object": application,
            "object_url": self.object_url(application),
            "person": form.cleaned_data["person"],
            "again": self.act_url(application, "preview"),
            **claims_preview.in_words(form.preview()),
        }
        return TemplateResponse(request, "admin/idp/application/preview.html", context)

    @property
    def sample(self) -> AdminAct:
        return AdminAct(
            "sample-assertion",
            "Sample assertion",
            claims_preview.explain_sample,
            self.do_sample,
            offered=claims_preview.speaks_saml,
            danger=False,
            form=claims_preview.SampleForm,
        )

    def do_sample(
        self, request: HttpRequest, application: Application, at: datetime, form: forms.Form | None
    ) -> HttpResponse:
        assert isinstance(form, claims_preview.SampleForm)  # noqa: S101  the act declares it
        context = {
            **self.admin_site.each_context(request),
            "title": "Sample assertion",
            "opts": self.opts,
            "object": application,
            "object_url": self.object_url(application),
            "person": form.cleaned_data["person"],
            "again": self.act_url(application, "sample-assertion"),
            "documents": claims_preview.sample_documents(form),
        }
        return TemplateResponse(request, "admin/idp/application/sample_assertion.html", context)

    @property
    def preflight(self) -> AdminAct:
        return AdminAct(
            "preflight",
            "Logout preflight",
            explain_preflight,
            self.do_preflight,
            offered=lambda application: bool(urls_of(application)),
            danger=False,
        )

    def do_preflight(
        self, request: HttpRequest, application: Application, at: datetime, form: forms.Form | None
    ) -> HttpResponse:
        with turn(BUSY):
            reports = preflight.check(application)
        return self._reports(request, application, "Logout preflight", "preflight.html", reports)

    @property
    def test_sign_out(self) -> AdminAct:
        return AdminAct(
            "test-sign-out",
            "Send a test sign-out",
            explain_test,
            self.do_test_sign_out,
            offered=lambda application: bool(trial.channels(application)),
            danger=False,
        )

    def do_test_sign_out(
        self, request: HttpRequest, application: Application, at: datetime, form: forms.Form | None
    ) -> HttpResponse:
        with turn(BUSY):
            reports = trial.run(application, at)
        return self._reports(request, application, "Send a test sign-out", "test_sign_out.html", reports)

    def _reports(
        self, request: HttpRequest, application: Application, title: str, template: str, reports: Sequence[Any]
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "object": application,
            "object_url": self.object_url(application),
            "reports": reports,
        }
        return TemplateResponse(request, f"admin/idp/application/{template}", context)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if obj := kwargs.get("obj"):
            may_redeliver = self.may_do(request, obj, REDELIVER_DEAD)
            may_preview = self.may_do(request, obj, self.preview)
            delivered = LogoutDelivery.objects.of_ends().filter(application=obj, state=DeliveryState.DELIVERED)
            context |= {
                "dead": dead(obj),
                "reached": bool(urls_of(obj)),
                "test_url": self._way_to(request, obj, self.test_sign_out),
                "preflight_url": self._way_to(request, obj, self.preflight),
                "redeliver_url": self.act_url(obj, REDELIVER_DEAD.name) if may_redeliver else "",
                "deaf_to": in_words(obj.deaf_to) if obj.backchannel_logout_uri else [],
                "browser_only": bool(obj.frontchannel_logout_uri or obj.saml_logout_uri)
                and not (obj.backchannel_logout_uri or obj.saml_soap_logout_uri),
                "not_told": not_told_today(obj),
                "not_told_url": not_told_url(timezone.now(), obj),
                **against_the_rules(obj),
                "claim_troubles": obj.claim_troubles.all(),
                "preview_link": self.act_url(obj, "preview") if may_preview else "",
                "last_sign_in": SessionClient.objects.filter(application=obj).aggregate(at=Max("joined_at"))["at"],
                "last_told": delivered.aggregate(at=Max("finished_at"))["at"],
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def _way_to(self, request: HttpRequest, application: Application, act: AdminAct) -> str:
        """The page of an act, for whoever may do it here."""
        offered = act.offered(application) and self.may_do(request, application, act)
        return self.act_url(application, act.name) if offered else ""

    def consequences(self, application: Application) -> list[str]:
        sessions = SessionClient.objects.filter(application=application, session__ended_at=None)
        now = timezone.now()
        live = sessions.filter(session__expires_at__gt=now, session__idle_expires_at__gt=now).count()
        families = RefreshTokenFamily.objects.filter(application=application, revoked_at=None).count()
        waiting = LogoutDelivery.objects.filter(application=application, state=DeliveryState.PENDING).count()
        return [
            *super().consequences(application),
            f"Now: {live} live sessions use it, {families} refresh token families belong to it, "
            f"{waiting} sign-outs wait to be delivered to it.",
        ]
