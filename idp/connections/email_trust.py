"""The option by which an administrator answers for the e-mail addresses of a source that says nothing about them itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.connections.oidc import presets
from idp.models import Strategy

OPTION = "email_is_verified"


def problem(strategy: str, options: Mapping[str, Any]) -> str | None:
    """Why nobody can answer for them, in words that follow the option's name."""
    if options.get(OPTION) is not True or strategy != Strategy.ENTRA:
        return None
    if presets.entra_tenant(options) not in presets.SEVERAL_TENANTS:
        return None
    return "cannot be said of several directories: whoever administers one of them writes any address into it. Name one in tenantId"
