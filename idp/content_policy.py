"""What one answer adds to the Content-Security-Policy of the settings. django-csp's middleware reads it from the response."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpResponse


def allow(response: HttpResponse, directive: str, sources: Iterable[str]) -> None:
    """Add sources. `form-action` needs those of redirects too: Chromium applies it to what follows a POST."""
    response._csp_update = {directive: list(sources)}  # type: ignore[attr-defined]


def allow_only(response: HttpResponse, directive: str, sources: Iterable[str]) -> None:
    response._csp_replace = {directive: list(sources)}  # type: ignore[attr-defined]
