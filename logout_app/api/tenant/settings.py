"""The tenant's settings and looks, in the words of the tenant file."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from idp.models import TenantSettings
from idp.tenants import configuration, trail
from idp.tenants.schema import tenant as read_tenant
from idp.tenants.schema import tenant_problems
from logout_app.api.frame import body
from logout_app.api.frame.operations import FIELDS, Call, Operation

PLACE = "tenant"
OURS = (
    "default_language",
    *("accent_color", "max_sessions_per_user", "v2_logout_confirmation", "require_mfa", "require_mfa_groups"),
    *("session_management", "profile", "require_pkce", "require_pushed_authorization_requests", "sign_out_timeout"),
    *("dynamic_client_registration", "password_change_ends_other_sessions", "security_mails", "history_retention_days"),
    *("remember_second_factor_days", "legal_hold"),
    *("picture_url_dark", "favicon_url", "background_color", "background_color_dark", "privacy_url", "imprint_url"),
    *("texts", "mail_templates"),
)


def shape(row: TenantSettings) -> dict[str, Any]:
    return {
        "friendly_name": row.friendly_name,
        "picture_url": row.picture_url,
        "support_email": row.support_email,
        "support_url": row.support_url,
        "allowed_logout_urls": list(row.allowed_logout_urls),
        "session_lifetime": _hours(row.session_lifetime_in_minutes),
        "idle_session_lifetime": _hours(row.idle_session_lifetime_in_minutes),
        "session_cookie": {"mode": "persistent" if row.persistent_session_cookie else "non-persistent"},
        "sessions": {"oidc_logout_prompt_enabled": row.oidc_logout_prompt_enabled},
        "oidc_logout": {"rp_logout_end_session_endpoint_discovery": True},
        "pushed_authorization_requests_supported": True,
        "enabled_locales": [code for code, _ in settings.LANGUAGES],
        "flags": {"enable_dynamic_client_registration": row.dynamic_client_registration},
        **{name: getattr(row, name) for name in OURS},
    }


def _hours(minutes: int) -> float:
    return minutes // 60 if minutes % 60 == 0 else minutes / 60


def get(call: Call) -> Any:
    return shape(configuration.load_tenant())


def update(call: Call) -> Any:
    return shape(_write(call, call.body))


def get_branding(call: Call) -> Any:
    return branding(configuration.load_tenant())


def branding(row: TenantSettings) -> dict[str, Any]:
    """What of Auth0's branding there is: a colour and a picture."""
    found: dict[str, Any] = {"logo_url": row.picture_url} if row.picture_url else {}
    return found | ({"colors": {"primary": row.accent_color}} if row.accent_color else {})


def update_branding(call: Call) -> Any:
    with body.reading(call.body) as reader:
        said: dict[str, Any] = {"picture_url": reader.text("logo_url")} if reader.has("logo_url") else {}
        if colors := reader.inner("colors"):
            said |= {"accent_color": colors.text("primary")}
            colors.done()
    return branding(_write(call, {name: "" if value is None else value for name, value in said.items()}))


def _write(call: Call, said: Mapping[str, Any]) -> TenantSettings:
    problems: list[str] = []
    given = {name: value for name, value in said.items() if value is not None}
    columns = read_tenant(body.BodyReader(given, PLACE, problems, body.NOWHERE))
    body.refuse(problems, PLACE)
    row = trail.stored()
    before = copy.copy(row)
    body.refuse(tenant_problems(columns, copy.copy(row)), PLACE)
    for name, value in columns.items():
        setattr(row, name, value)
    if any(getattr(before, name) != value for name, value in columns.items()):
        row.save()
        trail.changed(before, row, actor=call.actor, at=call.at, facts=call.caller.facts)
    return row


OPERATIONS = (
    Operation("GET", "tenants/settings", ["read:tenant_settings"], get, "The tenant's settings.", query=FIELDS),
    Operation("PATCH", "tenants/settings", ["update:tenant_settings"], update,
              "Change settings; lifetimes in hours, or in minutes by the keys that end so."),
    Operation("GET", "branding", ["read:branding"], get_branding, "Colour and picture."),
    Operation("PATCH", "branding", ["update:branding"], update_branding, "Another colour or picture."),
)  # fmt: skip
