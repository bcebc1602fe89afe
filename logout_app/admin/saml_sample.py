"""*Sample assertion* on the page of an application that speaks SAML."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from idp.models import Application
from idp.tenants import configuration
from logout_app.admin.claims_preview import PreviewForm
from sessions_app.saml import sample
from sessions_app.saml.name_ids import NoSuchName
from sessions_app.saml.sso import Party


class SampleForm(PreviewForm):
    """Whose: there is no scope and no API in SAML."""

    def __init__(self, application: Application, data: Any = None) -> None:
        super().__init__(application, data)
        del self.fields["api"], self.fields["scope"]


def offered(application: Application) -> bool:
    return bool(application.usable.saml)


def explain(application: Application) -> list[str]:
    return [
        f"What {application} would be told of somebody, computed as for a sign-in now.",
        "It is not signed: nobody can be signed in by it, and nobody is told.",
    ]


def documents(form: SampleForm) -> dict[str, str]:
    snapshot = configuration.current()
    application = snapshot.application(form.application.client_id) or form.application
    party = Party(application, application.usable.saml, snapshot)
    try:
        return {"Response": sample.document(party, form.cleaned_data["person"], timezone.now())}
    except NoSuchName as error:
        return {"Response": f"There is none: this person has no NameID of the format {error}."}
