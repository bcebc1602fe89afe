"""`{{ name|isolate }}` for every name from outside beside other text; built in, so that no template has to load it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import template
from django.utils.formats import localize
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import is_aware, localtime

from idp.protocol.text import bidi

register = template.Library()


@register.filter
def isolate(value: Any) -> SafeString:
    """In a <bdi> where it runs from right to left. Times and numbers are written as everywhere else."""
    html = bidi.without_controls(conditional_escape(localize(_here(value))))
    return mark_safe(f"<bdi>{html}</bdi>" if bidi.runs_both_ways(html) else html)  # noqa: S308  escaped above


def _here(value: Any) -> Any:
    """A time in the zone of the page."""
    return localtime(value) if isinstance(value, datetime) and is_aware(value) else value


@register.filter
def isolate_each(values: Iterable[object]) -> SafeString:
    """Names with commas between them."""
    return mark_safe(", ".join(isolate(value) for value in values))  # noqa: S308  each of them is escaped


@register.filter
def isolate_text(value: object) -> str:
    """Where no element may stand: a title, an attribute."""
    return bidi.isolated(str(value))
