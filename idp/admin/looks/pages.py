"""Pages of the settings beside their form: texts per language, mails with a preview, and whether mail is sent at all."""

from __future__ import annotations

import copy
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.mail import EmailMessage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from idp.admin.looks import preview
from idp.admin.looks.saving import require, save
from idp.branding import mails as letters
from idp.branding import texts, transport
from idp.limits import limiter
from idp.models import User
from idp.navigation import Page
from idp.tenants import configuration

TRIALS = limiter.Limit("mail-test", 20, 3600)
METHODS = ["GET", "HEAD", "POST"]


class TextsForm(forms.Form):
    """One line for each place and language; an empty one is none."""

    def __init__(self, written: dict[str, Any], data: QueryDict | None = None) -> None:
        super().__init__(data)
        for place, title in texts.PLACES.items():
            for language, name in texts.LANGUAGES.items():
                self.fields[f"{place}-{language}"] = forms.CharField(
                    label=f"{title}: {name}",
                    required=False,
                    max_length=texts.LONGEST_TEXT,
                    initial=(written.get(place) or {}).get(language, ""),
                    widget=forms.TextInput(attrs={"class": "vTextField", "lang": language}),
                )

    @property
    def written(self) -> dict[str, dict[str, str]]:
        said = self.cleaned_data
        found = {
            place: {
                language: said[f"{place}-{language}"] for language in texts.LANGUAGES if said[f"{place}-{language}"]
            }
            for place in texts.PLACES
        }
        return {place: lines for place, lines in found.items() if lines}


class MailForm(forms.Form):
    subject = forms.CharField(max_length=texts.LONGEST_SUBJECT, widget=forms.TextInput(attrs={"class": "vTextField"}))
    body = forms.CharField(
        max_length=texts.LONGEST_BODY, strip=False, widget=forms.Textarea(attrs={"rows": 14, "class": "lines"})
    )

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if not self.errors:
            for problem in texts.mail_problems(self.name, {"subject": said["subject"], "body": said["body"]}):
                self.add_error("subject" if problem.startswith("subject") else "body", f"The {problem}.")
        return said

    @property
    def said(self) -> dict[str, str]:
        return {"subject": self.cleaned_data["subject"], "body": self.cleaned_data["body"].replace("\r\n", "\n")}


class TrialForm(forms.Form):
    recipient = forms.EmailField(max_length=254, help_text="Gets one mail, if everything works.")


@require_http_methods(METHODS)
def texts_page(request: HttpRequest) -> HttpResponse:
    require(request, "view")
    form = TextsForm(configuration.load_tenant().texts, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        problems = save(request, {"texts": form.written})
        if not problems:
            messages.success(request, "The texts are saved. Pages show them from now on.")
            return HttpResponseRedirect(reverse("admin:texts"))
        for problem in problems:
            form.add_error(None, problem)
    return _page(request, "texts", "Texts", form=form, may_change=request.user.has_perm("idp.change_tenantsettings"))


@require_http_methods(METHODS)
def mails_page(request: HttpRequest) -> HttpResponse:
    """Which mail and language is in the address; what is done, in the button."""
    require(request, "view")
    name, language = request.GET.get("mail", "user_invitation"), request.GET.get("language", "en")
    if name not in texts.MAILS or language not in texts.LANGUAGES:
        return HttpResponseRedirect(reverse("admin:mails"))
    tenant = configuration.load_tenant()
    own = texts.mail_text(tenant.mail_templates, name, language)
    subject, body = own or letters.ours(name, language)
    form = MailForm(
        name, request.POST if request.method == "POST" else None, initial={"subject": subject, "body": body}
    )
    shown = (subject, body)
    if request.method == "POST":
        done = _act(request, form, name, language)
        if done is not None:
            return done
        if form.is_valid():
            shown = form.said["subject"], form.said["body"]
    values = letters.sample(tenant, getattr(request.user, "email", "") or "mary@example.com")
    return _page(
        request,
        "mails",
        "Mails",
        form=form,
        mail=texts.MAILS[name],
        name=name,
        language=language,
        is_own=own is not None,
        mails=[(key, template.title) for key, template in texts.MAILS.items()],
        languages=list(texts.LANGUAGES.items()),
        places=[f"{{{place}}}" for place in sorted(texts.MAILS[name].knows)],
        shown=letters.filled(name, shown, values),
        may_change=request.user.has_perm("idp.change_tenantsettings"),
    )


def _act(request: HttpRequest, form: MailForm, name: str, language: str) -> HttpResponse | None:
    """None: the page again, with what is wrong or with the preview."""
    require(request, "change")
    act, here = request.POST.get("act", ""), request.get_full_path()
    if act == "reset":
        return _write(request, form, name, language, None)
    if not form.is_valid() or act == "preview":
        return None
    if act == "send":
        _send(request, name, (form.said["subject"], form.said["body"]))
        return None
    if act == "save":
        return _write(request, form, name, language, form.said)
    return HttpResponseRedirect(here)


def _write(
    request: HttpRequest, form: MailForm, name: str, language: str, said: dict[str, str] | None
) -> HttpResponse | None:
    written = copy.deepcopy(configuration.load_tenant().mail_templates)
    of_mail = written.setdefault(name, {})
    if said is None:
        of_mail.pop(language, None)
    else:
        of_mail[language] = said
    problems = save(request, {"mail_templates": {key: value for key, value in written.items() if value}})
    if problems:
        form.is_valid()
        for problem in problems:
            form.add_error(None, problem)
        return None
    messages.success(request, "The mail is sent as Curfew writes it." if said is None else "The mail is saved.")
    return HttpResponseRedirect(request.get_full_path())


def _send(request: HttpRequest, name: str, said: tuple[str, str]) -> None:
    person, tenant = request.user, configuration.load_tenant()
    assert isinstance(person, User)  # noqa: S101  the site lets nobody else in
    if not person.email:
        messages.error(request, "Your own account has no address.")
        return
    if not _may_try(person):
        messages.warning(request, "You sent many mails lately. Try again in an hour.")
        return
    subject, body = letters.filled(name, said, letters.sample(tenant, person.email))
    try:
        EmailMessage(subject, body, to=[person.email]).send()
    except letters.UNSENT as error:
        messages.error(request, f"It was not sent ({type(error).__name__}). Test mail says where it fails.")
    else:
        messages.success(request, f"It is on its way to {person.email}. Its links lead nowhere.")


@require_http_methods(METHODS)
def trial_page(request: HttpRequest) -> HttpResponse:
    require(request, "change")
    person = request.user
    assert isinstance(person, User)  # noqa: S101  the site lets nobody else in
    form = TrialForm(request.POST if request.method == "POST" else None, initial={"recipient": person.email})
    steps: list[transport.TransportStep] = []
    if request.method == "POST" and form.is_valid():
        if _may_try(person):
            steps = transport.test(form.cleaned_data["recipient"])
        else:
            form.add_error(None, "You sent many mails lately. Try again in an hour.")
    return _page(request, "mail_test", "Test mail", form=form, steps=steps)


def _may_try(person: User) -> bool:
    return limiter.reserve([TRIALS.key(person.pk)], timezone.now()).allowed


def _page(request: HttpRequest, template: str, title: str, **more: Any) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": title, **more}
    return TemplateResponse(request, f"admin/settings/{template}.html", context)


PAGES = (
    Page("texts", "texts", "settings/texts/", texts_page, ("idp.view_tenantsettings",)),
    Page("mails", "mails", "settings/mails/", mails_page, ("idp.view_tenantsettings",)),
    Page("mail_test", "test mail", "settings/mail-test/", trial_page, ("idp.change_tenantsettings",)),
    Page("looks_preview", "", "settings/preview/", preview.preview),
    Page("looks_sheet", "", "settings/preview.css", preview.sheet),
)
