"""`/account/`: who somebody is here, and who owns what is said of them."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods

from idp.http import languages
from idp.models import User
from idp.views.errors import error_page, page_errors
from sessions_app.account import mail, mailed


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # Django has no such subscript
    class Meta:
        model = User
        fields = ("name", "given_name", "family_name", "nickname")
        labels: ClassVar[dict[str, Any]] = {
            "name": gettext_lazy("Name"),
            "given_name": gettext_lazy("First name"),
            "family_name": gettext_lazy("Last name"),
            "nickname": gettext_lazy("Nickname"),
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "name": forms.TextInput(attrs={"autocomplete": "name"}),
            "given_name": forms.TextInput(attrs={"autocomplete": "given-name"}),
            "family_name": forms.TextInput(attrs={"autocomplete": "family-name"}),
            "nickname": forms.TextInput(attrs={"autocomplete": "nickname"}),
        }


class LanguageForm(forms.Form):
    language = forms.ChoiceField(label=gettext_lazy("Language"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", gettext("As my browser wants")), *settings.LANGUAGES]
        self.fields["language"].choices = choices  # type: ignore[attr-defined]


@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def profile(request: HttpRequest) -> HttpResponse:
    person = cast(User, request.user)
    language = LanguageForm(request.POST if "language" in request.POST else None, initial={"language": person.language})
    if language.is_bound and language.is_valid():
        return _choose_language(request, person, language.cleaned_data["language"])
    accounts = list(person.identities.select_related("connection").order_by("created_at", "pk"))
    source = mailed.owner_of(person)
    if request.method == "POST" and source and not language.is_bound:
        words = gettext("Your name comes from %(source)s. Please change it there.") % {"source": source}
        return error_page(request, gettext("Your name is not kept here"), words, status=403)
    names = None if language.is_bound else request.POST or None
    form = None if source else ProfileForm(names, instance=User.objects.get(pk=person.pk))
    if form is not None and form.is_bound and form.is_valid():
        _save(person, form)
        messages.success(request, gettext("Your profile is changed. Apps see it when you next sign in to them."))
        return HttpResponseRedirect(reverse("account_profile"))
    facts = [(field.label, form_value) for field, form_value in _read_only(person)] if source else []
    context = {
        "person": person,
        "accounts": accounts,
        "source": source,
        "form": form,
        "language": language,
        "facts": facts,
        "verifiable": bool(mail.names_of(person)),
    }
    return render(request, "account/profile.html", context)


def _choose_language(request: HttpRequest, person: User, chosen: str) -> HttpResponse:
    """Said in the new language; *as my browser wants* is a choice too."""
    User.objects.filter(pk=person.pk).update(language=chosen, updated_at=timezone.now())
    languages.choose(request, chosen)
    messages.success(request, gettext("Pages and mails are in this language now."))
    return HttpResponseRedirect(reverse("account_profile"))


def _save(person: User, form: ProfileForm) -> None:
    """These columns, and nothing that another request changed meanwhile."""
    User.objects.filter(pk=person.pk).update(**form.cleaned_data, updated_at=timezone.now())


def _read_only(person: User) -> list[tuple[forms.BoundField, str]]:
    return [(field, str(field.value() or "")) for field in ProfileForm(instance=person)]
