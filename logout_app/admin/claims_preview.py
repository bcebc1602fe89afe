"""*Preview for a person* on an application's page: what somebody's tokens would say there; and *Sample assertion*, the same of SAML."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils import timezone

from idp.models import Application, ResourceServer, User
from idp.people import accounts
from idp.tenants import configuration
from sessions_app.claims.preview import Preview, preview
from sessions_app.protocol import scopes
from sessions_app.saml import sample
from sessions_app.saml.name_ids import NoSuchName
from sessions_app.saml.sso import Party

USUAL = "openid profile email groups roles"


class PreviewForm(forms.Form):
    person = forms.CharField(
        label="Person",
        help_text="Their user id, or an e-mail address that nobody else here has.",
        max_length=255,
        widget=forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false", "autocomplete": "off"}),
    )
    api = forms.ModelChoiceField(ResourceServer.objects.all(), label="API", required=False, empty_label="None")
    scope = forms.CharField(
        initial=USUAL,
        max_length=1000,
        help_text="What the application asks for.",
        widget=forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false"}),
    )

    def __init__(self, application: Application, data: Any = None) -> None:
        super().__init__(data)
        self.application = application

    def clean_person(self) -> User:
        typed: str = self.cleaned_data["person"].strip()
        found = list(User.objects.filter(user_id=typed) or accounts.with_address(typed)[:2])
        if len(found) != 1:
            raise forms.ValidationError(
                "Several people have this address: give the user id." if found else "There is nobody like that."
            )
        return found[0]

    def preview(self) -> Preview:
        typed, snapshot = self.cleaned_data, configuration.current()
        application = snapshot.application(self.application.client_id) or self.application
        asked = scopes.split(typed["scope"])
        return preview(application, typed["person"], typed["api"], asked, snapshot, timezone.now())


def explain(application: Application) -> list[str]:
    return [
        f"What tokens of {application} would say of somebody, computed as for a sign-in now. Nothing is issued, and nobody is "
        "told.",
    ]


def in_words(found: Preview) -> dict[str, Any]:
    """For the template: documents as text."""
    documents = {
        "ID token": found.id_token,
        "User info": found.userinfo,
        "Introspection of the access token" if found.is_opaque else "Access token": found.access_token,
    }
    return {
        "may_use": found.may_use,
        "scope": " ".join(found.scope),
        "left_out": found.left_out,
        "documents": {title: json.dumps(body, indent=2, ensure_ascii=False) for title, body in documents.items()},
    }


class SampleForm(PreviewForm):
    """Whose: there is no scope and no API in SAML."""

    def __init__(self, application: Application, data: Any = None) -> None:
        super().__init__(application, data)
        del self.fields["api"], self.fields["scope"]


def speaks_saml(application: Application) -> bool:
    return bool(application.usable.saml)


def explain_sample(application: Application) -> list[str]:
    return [
        f"What {application} would be told of somebody, computed as for a sign-in now.",
        "It is not signed: nobody can be signed in by it, and nobody is told.",
    ]


def sample_documents(form: SampleForm) -> dict[str, str]:
    snapshot = configuration.current()
    application = snapshot.application(form.application.client_id) or form.application
    party = Party(application, application.usable.saml, snapshot)
    try:
        return {"Response": sample.document(party, form.cleaned_data["person"], timezone.now())}
    except NoSuchName as error:
        return {"Response": f"There is none: this person has no NameID of the format {error}."}
