"""Filters of the account pages."""

from __future__ import annotations

import re

from django import template

register = template.Library()


@register.filter
def grouped(secret: str) -> str:
    """In fours, as authenticator apps take a secret that is typed."""
    return " ".join(re.findall(".{1,4}", secret))
