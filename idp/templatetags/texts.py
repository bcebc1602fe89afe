"""Words that pages of every app put into their sentences; built in, so that no template has to load it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils import dateformat, timezone, translation
from django.utils.formats import number_format
from django.utils.safestring import mark_safe
from django.utils.translation import gettext

from idp.http import languages

register = template.Library()


@register.simple_tag(takes_context=True)
def page_language(context: template.Context) -> str:
    """For pages that people look at, which are written in this language from here on. What stands in silent frames asks for
    the language of the moment, and looks nobody up."""
    request = context.get("request")
    return languages.settle(request) if request is not None else languages.current()


@register.simple_tag
def page_direction() -> str:
    return "rtl" if translation.get_language_bidi() else "ltr"


@register.simple_tag(takes_context=True)
def contact(context: template.Context) -> Any:
    """Whom to ask for help, for the middle of a sentence."""
    return mark_safe(render_to_string("contact.html", {"tenant": context.get("tenant")}).strip())  # noqa: S308  escaped there


@register.filter
def listed(names: Iterable[object]) -> str:
    return languages.listed(names)


@register.filter
def moment(at: datetime) -> str:
    # Translators: date and time of day in the letters of Django's `date` filter; T is the zone.
    return dateformat.format(timezone.localtime(at), gettext("j M Y, H:i T"))


@register.filter
def day(at: datetime) -> str:
    # Translators: a date in the letters of Django's `date` filter.
    return dateformat.format(timezone.localtime(at), gettext("j M Y"))


@register.filter
def local_date(at: datetime) -> date:
    """In the zone of the page: what happened around midnight is of another day elsewhere."""
    return timezone.localtime(at).date()


@register.filter
def weekday(on: date) -> str:
    # Translators: a date with its day of the week, in the letters of Django's `date` filter.
    return dateformat.format(on, gettext("l, j M Y"))


@register.filter
def seconds(milliseconds: int) -> str:
    return gettext("%(number)s s") % {"number": number_format(milliseconds / 1000, 1)}
