"""The page of evidence: what is asked for, the report, and the same as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from idp.models import Application, User
from idp.navigation import Page
from idp.people.search import people
from logout_app.evidence.document import document
from logout_app.evidence.report import WIDEST, WINDOW, Asked, report
from sessions_app.audit import history

NEEDED = ("logout_app.view_logoutevent", "logout_app.view_logoutdelivery", "idp.view_user")
SEVERAL = 5  # namesakes that are named
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def _time_field(label: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(label=label, required=False, widget=widget)


class EvidenceForm(forms.Form):
    person = forms.CharField(
        required=False, max_length=320, help_text="E-mail address, name or user id; of somebody deleted the user id."
    )
    application = forms.ModelChoiceField(
        Application.objects.order_by("name"), required=False, to_field_name="client_id", empty_label="Every application"
    )
    since = _time_field("Ended from")
    until = _time_field("Until")

    def clean_person(self) -> str:
        """The `sub` of the one person that is meant."""
        typed: str = self.cleaned_data["person"].strip()
        if not typed or User.objects.filter(user_id=typed).exists() or history.knows(typed):
            return typed
        found = list(people(typed).order_by("pk").values_list("user_id", "email")[: SEVERAL + 1])
        if not found:
            raise ValidationError("Nobody is called so.")
        if len(found) > 1:
            named = "; ".join(f"{email or 'no address'} is {sub}" for sub, email in found[:SEVERAL])
            raise ValidationError(f"Several people are called so. Give one user id: {named}.")
        return str(found[0][0])

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since >= until:
            self.add_error("until", "It is before the beginning.")
        if "person" in cleaned and not cleaned["person"] and since and (until or timezone.now()) - since > WIDEST:
            self.add_error("since", f"Of more than {WIDEST.days} days name a person.")
        return cleaned

    def asked(self, now: datetime) -> Asked:
        """Of a person everything that is kept, of anything else the last day, unless a time is given."""
        told = self.cleaned_data
        until = told["until"] or now
        since = told["since"] or (BEGINNING if told["person"] else until - WINDOW)
        return Asked(since, until, told["person"], told["application"])


def evidence(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perms(NEEDED):
        raise PermissionDenied
    now = timezone.now()
    form = EvidenceForm(request.GET)
    wants_json = request.GET.get("format") == "json"
    if not form.is_valid():
        return _refused(form) if wants_json else _page(request, form, {}, 400)
    asked = form.asked(now)
    found = report(asked)
    if wants_json:
        name = f"curfew-evidence-{now:%Y%m%dT%H%M%SZ}.json"
        return JsonResponse(document(found, now), headers={"Content-Disposition": f'attachment; filename="{name}"'})
    context = {"report": found, "of": _whose(asked), "made_at": now, "whole": asked.since == BEGINNING}
    return _page(request, form, context, 200)


EVIDENCE = Page("evidence", "Evidence", "evidence/", evidence, NEEDED)


def _refused(form: forms.Form) -> HttpResponse:
    errors = {name: [str(sentence) for sentence in sentences] for name, sentences in form.errors.items()}
    return JsonResponse(
        {"error": "invalid_request", "error_description": "It cannot be reported.", "fields": errors}, status=400
    )


def _page(request: HttpRequest, form: forms.Form, context: dict[str, Any], status: int) -> HttpResponse:
    query = request.GET.copy()
    query["format"] = "json"
    own = {
        "title": "Evidence",
        "form": form,
        "json_url": f"?{query.urlencode()}",
        "zone": timezone.get_current_timezone_name(),
    }
    return TemplateResponse(
        request, "admin/evidence.html", {**admin.site.each_context(request), **own, **context}, status=status
    )


def _whose(asked: Asked) -> str:
    """Whom or what it is about, as the heading of a paper says it."""
    person = str(User.objects.filter(user_id=asked.sub).first() or asked.sub) if asked.sub else ""
    application = str(asked.application) if asked.application else ""
    return " in ".join(filter(None, (person, application))) or "everybody in every application"
