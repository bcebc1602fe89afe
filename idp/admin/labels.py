"""Names of fields as people write them. Django makes a label of the column's name: of `support_url` it would be *Support url*."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Field, Model
from django.utils.text import capfirst

WRITTEN = {
    word.lower(): word
    for word in (
        *(
            "ACR",
            "ACS",
            "API",
            "CSS",
            "DN",
            "DPoP",
            "HTML",
            "HTTP",
            "HTTPS",
            "IP",
            "JSON",
            "JWKS",
            "JWT",
            "JTI",
            "LDAP",
        ),
        *(
            "MFA",
            "OIDC",
            "PKCE",
            "SAML",
            "SCIM",
            "SHA",
            "SSO",
            "TLS",
            "TOTP",
            "TTL",
            "URI",
            "URIs",
            "URL",
            "URLs",
            "UTC",
        ),
        *("ID", "IDs", "IdP", "OAuth", "OpenID", "WebAuthn", "XML"),
    )
} | {"idps": "IdPs", "sid": "session ID (sid)", "sub": "user ID (sub)", "alg": "algorithm", "max": "most"}


def sensible(words: str) -> str:
    """The same words, initialisms in capitals."""
    return " ".join(WRITTEN.get(word, word) for word in words.split(" "))


def name_columns(model: type[Model]) -> None:
    """In forms, lists, filters and histories. A name that the model gives itself stays; migrations know nothing of these."""
    for field in model._meta.concrete_fields:
        if _is_named_by_django(field):
            field.verbose_name = sensible(str(field.verbose_name))


def name_fields(form: type[forms.BaseForm]) -> None:
    """Of the fields that a form declares without a label."""
    for name, field in form.base_fields.items():  # type: ignore[attr-defined]  # of every form, says Django's metaclass
        if field.label is None:
            field.label = capfirst(sensible(name.replace("_", " ")))


def _is_named_by_django(field: Field[Any, Any]) -> bool:
    return field.verbose_name == field.name.replace("_", " ")
