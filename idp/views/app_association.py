"""By which documents a telephone learns that a native application belongs to this host."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from idp.applications import mobile
from idp.http.cors import any_origin
from idp.http.middleware import for_programs
from idp.models import Application
from idp.tenants import configuration

_DOCUMENTS = configuration.Memo[tuple[list[dict[str, Any]], dict[str, Any]]]("applications of this host")
MAX_AGE = 600  # seconds


@for_programs
@login_not_required
@any_origin("GET", "HEAD")
@require_safe
def asset_links(request: HttpRequest) -> HttpResponse:
    """Android's (Digital Asset Links)."""
    return _answer(_documents()[0])


@for_programs
@login_not_required
@any_origin("GET", "HEAD")
@require_safe
def apple_app_site_association(request: HttpRequest) -> HttpResponse:
    """Apple's, which must be JSON though its path says nothing of it."""
    return _answer(_documents()[1])


def _documents() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    return configuration.current().derived(_DOCUMENTS, _make)


def _make() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    applications = list(Application.objects.filter(enabled=True))
    return mobile.asset_links(applications), mobile.associated_domains(applications)


def _answer(document: Any) -> HttpResponse:
    return JsonResponse(document, safe=False, headers={"Cache-Control": f"public, max-age={MAX_AGE}"})
