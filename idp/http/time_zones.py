"""Times of pages in the zone of the browser: a script of the page says its name in a cookie, until then and without it UTC.

Of an evidence of who was signed in when nobody should have to count hours. What programs get, exports, and mails stay in UTC.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from datetime import UTC, tzinfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE = "curfew_time_zone"


class TimeZoneMiddleware:
    """Around everything that may answer with a page; programs send no such cookie."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = request.COOKIES.get(COOKIE, "")
        if not name:
            return self.get_response(request)
        with timezone.override(named(name)):
            return self.get_response(request)


def named(name: str) -> tzinfo:
    """The zone of this name of the IANA's database; UTC if there is none."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):  # of anything that a cookie may hold
        return UTC
