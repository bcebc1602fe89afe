"""A mail as it is sent: by an administrator's text where there is one for its language, else by our own template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

from idp.branding import texts
from idp.models import TenantSettings
from idp.protocol.text.bidi import isolated

# What sending raises: of the server (SMTPException is an OSError), and for an address to which no mail can be written.
UNSENT = (OSError, ValueError)
PLAIN = frozenset({"url", "reset_url", "code"})  # a mark of direction would be part of them


def written(tenant: TenantSettings, prefix: str, language: str, context: Mapping[str, Any]) -> tuple[str, str] | None:
    """Subject and body in an administrator's words; None: nobody wrote any for this mail and language."""
    name = texts.BY_PREFIX.get(prefix)
    found = texts.mail_text(tenant.mail_templates, name, language) if name else None
    if name is None or found is None:
        return None
    return filled(name, found, context)


def filled(name: str, said: tuple[str, str], context: Mapping[str, Any]) -> tuple[str, str]:
    knows = texts.MAILS[name].knows
    values = {place: _shown(place, context) for place in knows}
    subject, body = (texts.filled(text, values) for text in said)
    return " ".join(subject.split()), body.replace("\r\n", "\n")


def ours(name: str, language: str) -> tuple[str, str]:
    """Our own text with places, to begin with."""
    template = texts.MAILS[name]
    context: dict[str, Any] = {place: f"{{{place}}}" for place in template.knows}
    context["connections"] = [context.get("connection", "{address}")]
    prefix = f"account/email/{template.prefix}"
    with translation.override(language):
        subject = render_to_string(f"{prefix}_subject.txt", context)
        body = render_to_string(f"{prefix}_message.txt", context)
    return " ".join(_bare(subject).split()), _bare(body).strip()


def sample(tenant: TenantSettings, address: str) -> dict[str, str]:
    """Values as they are in a real mail; the links lead nowhere."""
    link = f"{settings.ISSUER_ORIGIN}/invitation/key/example"
    return {
        "url": link,
        "reset_url": f"{settings.ISSUER_ORIGIN}/account/password/reset/",
        "code": "123456",
        "tenant": tenant.friendly_name,
        "address": address,
        "name": "Mary",
        "connection": "Staff",
    }


def _shown(place: str, context: Mapping[str, Any]) -> str:
    value = str(context.get(place, "") or "")
    return value if place in PLAIN else isolated(value)


def _bare(text: str) -> str:
    """Without the marks of direction around places, which are put there when they are filled."""
    return text.translate(dict.fromkeys(range(0x2066, 0x206A)))
