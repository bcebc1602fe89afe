"""Auth0's `addons`: protocols that an application speaks beside OpenID Connect, by the column that holds their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idp.models import Application

ADDONS = {"saml": "samlp", "wsfed": "wsfed"}


def of(application: Application) -> dict[str, Any]:
    """As they are written; those that it does not have are left out."""
    return {name: getattr(application, column) for column, name in ADDONS.items() if getattr(application, column)}
