"""`/theme.css`: the tenant's accent colour, as a stylesheet of its own because the policy forbids styles inside of pages."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from idp.http.middleware import for_programs
from idp.protocol.text import colours
from idp.tenants import configuration

FOREVER = "public, max-age=31536000, immutable"
SHEET = """:root {{ --accent: {light.accent}; --accent-strong: {light.strong}; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --accent: {dark.accent}; --accent-strong: {dark.strong}; }}
}}
"""


@for_programs
@login_not_required
@require_safe
def theme(request: HttpRequest) -> HttpResponse:
    """Pages ask with the version of the configuration, so that browsers may keep the answer to that for ever."""
    snapshot = configuration.current()
    response = HttpResponse(sheet(snapshot.tenant.accent_color), content_type="text/css; charset=utf-8")
    asked_for_this = request.GET.get("v") == str(snapshot.tenant.config_version)
    response.headers["Cache-Control"] = FOREVER if asked_for_this else "no-cache"
    return response


def sheet(colour: str) -> str:
    """Nothing but a colour gets in, whatever the row holds."""
    if not colours.HEX.fullmatch(colour):
        return ""
    return SHEET.format(light=colours.light(colour), dark=colours.dark(colour))
