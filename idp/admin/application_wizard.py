"""Registering an application: its kind first, then only what that kind needs. The complete form is one more choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import HttpRequest

from idp.admin.application_form import ApplicationForm
from idp.admin.fields import LinesField
from idp.applications.kinds import KINDS, MACHINE, NATIVE, SAML, ApplicationKind
from idp.models import ClientGrant, ResourceServer
from idp.protocol import uris

EVERYTHING = "all"  # the kind of whoever wants the complete form at once
GRANT = ("api", "scope")
HELP = {
    "name": "What people read on the login page and among their sessions.",
    "redirect_uris": "One per line, like https://app.example.com/callback. Where people come back to after they signed in; "
    "your library names it.",
    "post_logout_redirect_uris": "One per line, like https://app.example.com/. Where people may go after they signed out.",
    "backchannel_logout_uri": "Like https://app.example.com/backchannel-logout. Where it is told that somebody signed out elsewhere. "
    "Without it people stay signed in there until its own session ends; it can be given later.",
}
HELP_OF_NATIVE = (
    "One per line: a scheme of your own like com.example.app:/callback, a link that opens the application, or "
    "http://127.0.0.1/callback for a program that listens on a port of its machine."
)


class WizardForm(ApplicationForm):
    """`kind` decides which of the application's columns are asked for; the rules are those of every door."""

    kind: ApplicationKind
    grants_apis = False

    api = forms.ModelChoiceField(
        ResourceServer.objects.filter(is_system=False),
        label="API",
        required=False,
        empty_label="None yet",
        help_text="What it calls. Without one it gets no token.",
    )
    scope = LinesField(label="Scopes", help_text="One per line, out of the API's own. Empty: all of them.")

    entity_id = forms.CharField(
        label="Entity ID",
        max_length=1024,
        help_text="The application's name for itself: audience or SP entity ID in its settings. On its page you can then import its "
        "metadata, or say which service it is.",
        widget=forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "instance": self.kind.begin()})
        asked = ("name", *self.kind.fields, *(GRANT if self.grants_apis else ()))
        if self.kind is SAML:
            asked = (*asked, "entity_id")
        self.fields = {name: self.fields[name] for name in asked}
        for name in self.fields.keys() & HELP.keys():
            self.fields[name].help_text = HELP[name]
        if "redirect_uris" in self.fields:
            self.fields["redirect_uris"].required = True
            if self.kind is SAML:
                self.fields["redirect_uris"].label = "Assertion consumer service"
                self.fields[
                    "redirect_uris"
                ].help_text = "One per line, like https://app.example.com/saml/acs. The first is the usual one."
            if self.kind is NATIVE:
                self.fields["redirect_uris"].help_text = HELP_OF_NATIVE
        self.fields["name"].widget.attrs["autofocus"] = True

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if self.kind.calls_from_pages:
            self.instance.web_origins = _origins(cleaned.get("redirect_uris", ""))
        if self.kind is SAML:
            self.instance.saml = {"audience": cleaned.get("entity_id", "")}
        self._check_scope(cleaned)
        return cleaned

    def _check_scope(self, cleaned: dict[str, Any]) -> None:
        api, scope = cleaned.get("api"), cleaned.get("scope") or []
        if scope and api is None:
            self.add_error("api", "Choose the API that these scopes are of.")
        elif api is not None and (unknown := sorted({*scope} - api.scope_values)):
            self.add_error("scope", f"{api} does not have: {', '.join(unknown)}.")

    def clean_jwks(self) -> Any:
        return None

    def grant(self) -> None:
        """What a machine may ask of its API; once the application is saved."""
        api = self.cleaned_data.get("api")
        if api is not None:
            scope = self.cleaned_data["scope"] or sorted(api.scope_values)
            ClientGrant.objects.create(application=self.instance, resource_server=api, scope=scope)


def _origins(callbacks: str) -> list[str]:
    """A page calls us from where it comes back to."""
    return list(dict.fromkeys(filter(None, map(uris.origin, callbacks.split()))))


def chosen(request: HttpRequest) -> ApplicationKind | None:
    return KINDS.get(request.GET.get("kind", ""))


def is_undecided(request: HttpRequest) -> bool:
    """Whether the first page is due. A form that is posted without a kind is the complete one."""
    return request.method != "POST" and chosen(request) is None and request.GET.get("kind") != EVERYTHING


def form_of(kind: ApplicationKind, request: HttpRequest) -> type[WizardForm]:
    may_grant = kind is MACHINE and request.user.has_perm("idp.add_clientgrant")

    class OfKind(WizardForm):
        pass

    OfKind.kind, OfKind.grants_apis = kind, may_grant
    return OfKind


def choices() -> Sequence[dict[str, str]]:
    everything = {
        "name": EVERYTHING,
        "title": "All settings at once",
        "text": "The complete form, with every setting at its usual value.",
    }
    return [*({"name": kind.name, "title": kind.title, "text": kind.text} for kind in KINDS.values()), everything]
