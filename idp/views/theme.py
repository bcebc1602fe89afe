"""`/theme.css`: the tenant's colours, as a stylesheet of its own because the policy forbids styles inside of pages."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from idp.http.middleware import for_programs
from idp.models import TenantSettings
from idp.protocol.text import colours
from idp.tenants import configuration

FOREVER = "public, max-age=31536000, immutable"
SHEET = """@media not all and (prefers-color-scheme: dark) {{
  {light}
}}
@media (prefers-color-scheme: dark) {{
  {dark}
}}
"""


@dataclass(frozen=True, slots=True)
class Colours:
    """What an administrator chose; "" where that is no colour."""

    accent: str = ""
    ground: str = ""
    dark_ground: str = ""

    @classmethod
    def of(cls, tenant: TenantSettings) -> Colours:
        chosen = tenant.accent_color, tenant.background_color, tenant.background_color_dark
        return cls(*(colour if colours.is_colour(colour) else "" for colour in chosen))


@for_programs
@login_not_required
@require_safe
def theme(request: HttpRequest) -> HttpResponse:
    """Pages ask with the version of the configuration, so that browsers may keep the answer to that for ever."""
    snapshot = configuration.current()
    response = HttpResponse(sheet(Colours.of(snapshot.tenant)), content_type="text/css; charset=utf-8")
    asked_for_this = request.GET.get("v") == str(snapshot.tenant.config_version)
    response.headers["Cache-Control"] = FOREVER if asked_for_this else "no-cache"
    return response


def sheet(chosen: Colours) -> str:
    """Nothing but colours gets in, whatever the row holds."""
    parts = _light(chosen), _dark(chosen)
    if not any(parts):
        return ""
    return SHEET.format(light=parts[0], dark=parts[1])


def _light(chosen: Colours) -> str:
    ground = colours.light_ground(chosen.ground) if chosen.ground else ""
    if not ground and not chosen.accent:
        return ""
    accent = colours.light(chosen.accent or colours.LIGHT_ACCENT, ground or colours.LIGHT_GROUND)
    return _rule(accent, ground)


def _dark(chosen: Colours) -> str:
    ground = colours.dark_ground(chosen.dark_ground) if chosen.dark_ground else ""
    if not ground and not chosen.accent:
        return ""
    accent = colours.dark(chosen.accent or colours.DARK_ACCENT, ground or colours.DARK_GROUND)
    return _rule(accent, ground)


def _rule(accent: colours.Accent, ground: str) -> str:
    behind = f" --ground: {ground};" if ground else ""
    return f":root {{ --accent: {accent.accent}; --accent-strong: {accent.strong};{behind} }}"
