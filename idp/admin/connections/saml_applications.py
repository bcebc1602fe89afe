"""SAML on an application's page: *Import metadata*, what service providers are known to need, and what to paste there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone

from idp.admin.application_form import url_field
from idp.applications import rules
from idp.models import Application
from idp.saml.application import importing, wsfed
from idp.saml.application import settings as saml
from idp.saml.application.importing import NotImported
from idp.saml.names import EMAIL_ADDRESS, PERSISTENT
from idp.saml.own_key import own_certificates

SOON = timedelta(days=30)
LARGEST_FILE = 900_000  # bytes; a whole request has a million at most


@dataclass(frozen=True, slots=True)
class ServicePreset:
    """What a service is known to need, by its own documents; `{host}` is where this customer of it lives."""

    title: str
    acs: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def _by_email(**more: Any) -> dict[str, Any]:
    return {"nameIdentifierFormat": EMAIL_ADDRESS, **more}


PRESETS: Mapping[str, ServicePreset] = {
    "slack": ServicePreset(
        "Slack",
        "https://{host}/sso/saml",
        {
            "audience": "https://slack.com",
            "nameIdentifierFormat": PERSISTENT,
            "signResponse": True,
            "signAssertion": True,
            "mappings": {
                "email": "User.Email",
                "preferred_username": "User.Username",
                "given_name": "first_name",
                "family_name": "last_name",
            },
            "passthroughClaimsWithNoMapping": False,
            "mapIdentities": False,
            "createUpnClaim": False,
        },
    ),
    "salesforce": ServicePreset(
        "Salesforce",
        "https://{host}",
        _by_email(
            audience="https://{host}",
            mappings={"email": "User.Email", "upn": "User.Username", "family_name": "User.LastName"},
            passthroughClaimsWithNoMapping=False,
            mapIdentities=False,
            logout={"url": "https://{host}/services/auth/sp/saml2/logout"},
        ),
    ),
    "aws": ServicePreset(
        "AWS (map the claims aws_role and aws_session on the tab Claims)",
        "https://signin.aws.amazon.com/saml",
        {
            "audience": "urn:amazon:webservices",
            "nameIdentifierFormat": PERSISTENT,
            "mappings": {
                "aws_role": "https://aws.amazon.com/SAML/Attributes/Role",
                "email": "https://aws.amazon.com/SAML/Attributes/RoleSessionName",
            },
            "passthroughClaimsWithNoMapping": False,
            "mapIdentities": False,
            "createUpnClaim": False,
            "idpInitiated": True,
        },
    ),
    "google": ServicePreset(
        "Google Workspace",
        "https://www.google.com/a/{host}/acs",
        _by_email(
            audience="google.com/a/{host}",
            mappings={},
            passthroughClaimsWithNoMapping=False,
            mapIdentities=False,
        ),
    ),
    "zendesk": ServicePreset(
        "Zendesk",
        "https://{host}/access/saml",
        _by_email(audience="https://{host}", mappings={"name": "name", "phone_number": "phone"}, mapIdentities=False),
    ),
    "nextcloud": ServicePreset(
        "Nextcloud",
        "https://{host}/apps/user_saml/saml/acs",
        {
            "audience": "https://{host}/apps/user_saml/saml/metadata",
            "nameIdentifierFormat": PERSISTENT,
            "mapUnknownClaimsAsIs": True,
            "mappings": {"user_id": "uid", "email": "email", "name": "displayName", "groups": "groups"},
            "logout": {"url": "https://{host}/apps/user_saml/saml/sls"},
            "binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
        },
    ),
    "gitlab": ServicePreset(
        "GitLab",
        "https://{host}/users/auth/saml/callback",
        {
            "audience": "https://{host}",
            "nameIdentifierFormat": PERSISTENT,
            "mappings": {
                "email": "email",
                "name": "name",
                "given_name": "first_name",
                "family_name": "last_name",
                "groups": "groups",
            },
            "mapIdentities": False,
        },
    ),
    "jenkins": ServicePreset(
        "Jenkins",
        "https://{host}/securityRealm/finishLogin",
        _by_email(
            audience="https://{host}/securityRealm/finishLogin",
            mappings={"name": "displayname", "email": "email", "groups": "groups"},
            mapIdentities=False,
        ),
    ),
}


class MetadataFile(forms.FileField):
    """Cleans to the bytes of the document, b"" where there is none; what is too long is not read."""

    def clean(self, data: Any, initial: Any = None) -> bytes:
        if not isinstance(data, UploadedFile):
            return b""
        if (data.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(
                f"It has more than {LARGEST_FILE // 1000} kB: metadata of one application are shorter."
            )
        return bytes(data.read())


class ImportForm(forms.Form):
    """One of four sources. `applied` is the application as it will be, once the form is valid."""

    url = url_field(
        "Metadata URL", "It is fetched now and once a day, so that a new certificate is known before it is used."
    )
    file = MetadataFile(
        label="Metadata file",
        required=False,
        help_text=f"The XML document, {LARGEST_FILE // 1000} kB at most.",
    )
    document = forms.CharField(
        label="Metadata",
        required=False,
        help_text="The XML document as text, where its URL cannot be reached from here.",
        widget=forms.Textarea(attrs={"rows": 8, "class": "lines", "spellcheck": "false"}),
    )
    preset = forms.ChoiceField(
        label="What it is",
        required=False,
        choices=[("", "Something else"), *((name, preset.title) for name, preset in PRESETS.items())],
        help_text="Settings that this service is known to need: they replace its SAML settings.",
    )
    host = forms.CharField(
        label="Its host",
        required=False,
        max_length=255,
        help_text="For What it is: like acme.slack.com, or the domain of Google Workspace.",
        widget=forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false"}),
    )

    def __init__(self, application: Application, data: Any = None) -> None:
        initial = {"url": application.saml.get("metadataUrl", "")} if isinstance(application.saml, Mapping) else {}
        super().__init__(data, initial=initial)
        self.applied = Application.objects.get(pk=application.pk)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        url, pasted = cleaned.get("url", ""), (cleaned.get("document") or "").strip()
        if cleaned.get("file") and pasted:
            raise forms.ValidationError("Give the metadata as a file or as text, not both.")
        document = cleaned.get("file") or pasted.encode()
        if cleaned.get("preset"):
            _apply(PRESETS[cleaned["preset"]], cleaned.get("host", "").strip(), self.applied)
        elif not url and not document:
            raise forms.ValidationError("Give the metadata, by URL, file or text, or say what the application is.")
        try:
            if url or document:
                found = importing.read(document) if document else importing.fetch(url)
                importing.apply(self.applied, found, timezone.now(), url="" if document else url)
        except NotImported as error:
            raise forms.ValidationError(str(error)) from error
        if found_problems := [f"{problem.field}: {problem}" for problem in rules.problems(self.applied)]:
            raise forms.ValidationError(found_problems)
        return cleaned


def _apply(preset: ServicePreset, host: str, application: Application) -> None:
    if not host and "{host}" in f"{preset.acs}{preset.settings}":
        raise forms.ValidationError("Its host is missing.")
    application.redirect_uris = preset.acs.replace("{host}", host)
    application.saml = _filled(dict(preset.settings), host)


def _filled(value: Any, host: str) -> Any:
    if isinstance(value, str):
        return value.replace("{host}", host)
    if isinstance(value, Mapping):
        return {name: _filled(inner, host) for name, inner in value.items()}
    return value


def warnings(application: Application, at: datetime) -> list[str]:
    """What will stop working, or has: the application's own certificates."""
    found = []
    for certificate in saml.read(application).certificates:
        day = f"{certificate.not_after:%d %B %Y}"
        if certificate.not_after <= at:
            found.append(f"The certificate {certificate.subject} expired on {day}: what it signs is not believed.")
        elif certificate.not_after <= at + SOON:
            found.append(f"The certificate {certificate.subject} expires on {day}: import the next one before.")
    return found


def explain(application: Application) -> list[str]:
    return [
        f"Entity ID, ACS, logout addresses and certificates of {application} are taken from its metadata.",
        "What you chose yourself stays: mappings, the format of names, lifetimes.",
    ]


def endpoints(application: Application, at: datetime) -> list[tuple[str, str]]:
    """What is pasted into the application's configuration."""
    settings = saml.read(application)
    signing, *others = own_certificates(at, settings.signing_key)
    return [
        ("Metadata", saml.metadata_url(application)),
        ("Entity ID (issuer)", settings.own_entity_id),
        ("Sign-on URL", saml.sso_url(application)),
        ("Sign-out URL", saml.logout_url(application)),
        ("Certificate", signing),
        *(("Certificate besides, while the key is rotated", pem) for pem in others),
        ("Client ID", application.client_id),
    ]


def wsfed_endpoints(application: Application) -> list[tuple[str, str]]:
    """The same of an application that speaks WS-Federation."""
    settings = wsfed.read(application)
    return [
        ("Metadata", wsfed.metadata_url(application)),
        ("Realm (wtrealm)", settings.realm),
        ("Issuer", settings.told.own_entity_id),
        ("Sign-on and sign-out URL", wsfed.endpoint(application)),
        ("Client id", application.client_id),
    ]
