"""The login page with colours and names that are not saved yet, in a frame of the settings' page.

A frame shows both themes whatever the browser prefers: its stylesheets say one of them.
"""

from __future__ import annotations

import copy
from functools import cache
from urllib.parse import urlencode

from django.contrib.staticfiles import finders
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from idp.http.content_policy import allow_only
from idp.models import TenantSettings
from idp.protocol.text import colours
from idp.tenants import configuration
from idp.views import theme

SCHEMES = ("light", "dark")
COLOURS = ("accent_color", "background_color", "background_color_dark")
LONGEST_NAME = 255
DARK = "(prefers-color-scheme: dark)"


@require_safe
@xframe_options_sameorigin
def preview(request: HttpRequest) -> HttpResponse:
    """Shows, and is the page of no form: nothing can be sent from it."""
    tenant, scheme = _tenant(request), _scheme(request)
    query = urlencode({"scheme": scheme, **{name: getattr(tenant, name) for name in COLOURS}})
    context = {
        "complaints": _complaints(tenant, scheme),
        "tenant": tenant,
        "scheme": scheme,
        "sheet": f"{reverse('admin:looks_sheet')}?{query}",
    }
    response = HttpResponse(render_to_string("admin/settings/preview.html", context))
    allow_only(response, "frame-ancestors", ["'self'"])
    return response


@require_safe
def sheet(request: HttpRequest) -> HttpResponse:
    tenant, scheme = _tenant(request), _scheme(request)
    text = _base() + theme.sheet(theme.Colours.of(tenant))
    text = text.replace("color-scheme: light dark;", f"color-scheme: {scheme};")
    fixed = text.replace(f"@media {DARK}", "@media all" if scheme == "dark" else "@media not all")
    fixed = fixed.replace(f"@media not all and {DARK}", "@media all" if scheme == "light" else "@media not all")
    return HttpResponse(fixed, content_type="text/css; charset=utf-8")


def _tenant(request: HttpRequest) -> TenantSettings:
    """The settings with what was typed; what is no colour is none."""
    if not request.user.has_perm("idp.view_tenantsettings"):
        raise PermissionDenied
    tenant = copy.copy(configuration.load_tenant())
    for name in COLOURS:
        typed = request.GET.get(name)
        if typed is not None:
            setattr(tenant, name, typed if colours.is_colour(typed) else "")
    name = request.GET.get("friendly_name", "")[:LONGEST_NAME]
    tenant.friendly_name = name if name.strip() and name.isprintable() else tenant.friendly_name
    return tenant


def complaints(tenant: TenantSettings) -> list[str]:
    return list(dict.fromkeys(sentence for scheme in SCHEMES for sentence in _complaints(tenant, scheme)))


def _complaints(tenant: TenantSettings, scheme: str) -> list[str]:
    """What of the chosen colours cannot be read on a page of this theme, and what is used instead."""
    if scheme == "light":
        ground, used = tenant.background_color, colours.light_ground
    else:
        ground, used = tenant.background_color_dark, colours.dark_ground
    found = [colours.complaint(tenant.accent_color) if tenant.accent_color else ""]
    found.append(colours.ground_complaint(ground, used(ground)) if ground else "")
    return [sentence for sentence in found if sentence]


def _scheme(request: HttpRequest) -> str:
    scheme = request.GET.get("scheme", "light")
    if scheme not in SCHEMES:
        raise Http404
    return scheme


@cache
def _base() -> str:
    found = finders.find("css/curfew.css")
    return open(found, encoding="utf-8").read() if isinstance(found, str) else ""
