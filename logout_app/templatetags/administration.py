"""What the admin's pages tell beside a table's own columns."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django import template
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import conditional_escape, strip_tags
from django.utils.safestring import SafeString, mark_safe

from idp.protocol.text import bidi
from logout_app.admin.deliveries import state_of
from logout_app.admin.overview import StartPage, overview
from logout_app.admin.words import seconds
from sessions_app.models import RefreshTokenFamily

register = template.Library()
register.filter("told_state", state_of)
register.filter("seconds", seconds)
CELL = re.compile(r"<t[dh]\b")


@register.filter
def family_state(family: RefreshTokenFamily) -> str:
    if family.revoked_at is not None:
        return f"✕ revoked: {family.revoke_reason}"
    return "✓ works" if family.is_alive(timezone.now()) else "✕ dead by its limits, session or person"


@register.simple_tag
def start_page(request: HttpRequest) -> StartPage:
    return overview(request.user, timezone.now(), request.GET.get("within", ""))


@register.filter
def labelled(cells: Iterable[str], headers: Sequence[Mapping[str, Any]]) -> Iterator[SafeString]:
    """Each cell says which column it is of: on a narrow screen rows are cards and have no header above them."""
    for cell, header in zip(cells, headers, strict=False):
        words = conditional_escape(strip_tags(str(header["text"])).strip())
        label = f' data-label="{words[:1].upper()}{words[1:]}"' if words else ""
        yield mark_safe(CELL.sub(lambda tag: tag.group() + label, bidi.without_controls(str(cell)), count=1))  # noqa: B023, S308  Django's cells
