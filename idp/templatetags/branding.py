"""`{% tenant_text "login" as intro %}`: what an administrator wrote for this place, in the language of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.translation import get_language

from idp.branding import texts

register = template.Library()


@register.simple_tag(takes_context=True)
def tenant_text(context: Mapping[str, Any], place: str) -> str:
    tenant = context.get("tenant")
    return texts.page_text(tenant.texts, place, get_language() or "en", tenant.default_language) if tenant else ""
