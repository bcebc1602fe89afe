"""Times of the admin in the zone of the browser: its script says the name in a cookie, until then and without it UTC.

Of an evidence of who was signed in when nobody should have to count hours. What programs get, and exports, stay in UTC.
"""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any, TypeVar, cast

from django.http import HttpRequest, HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils import timezone

COOKIE = "curfew_time_zone"
View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def in_zone_of_browser(view: View) -> View:
    """Also what the view leaves to be rendered after it."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with timezone.override(named(request.COOKIES.get(COOKIE, ""))):
            response = view(request, *args, **kwargs)
            return response.render() if isinstance(response, SimpleTemplateResponse) else response

    return cast(View, wrapped)


def named(name: str) -> tzinfo:
    """The zone of this name of the IANA's database; UTC if there is none."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):  # of anything that a cookie may hold
        return UTC
