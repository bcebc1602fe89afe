"""Scopes of an API that are permissions of people: granted are those that somebody asked for and their roles allow."""

from __future__ import annotations

from idp.directory import entitlements
from idp.models import ResourceServer, User
from idp.tenants.configuration import Snapshot
from sessions_app.protocol import scopes


def allowed(granted: list[str], api: ResourceServer | None, user: User, snapshot: Snapshot) -> list[str]:
    """What of the granted scopes stays. No statement where the API leaves it to the application."""
    if api is None or not api.enforce_policies or not set(granted) & api.scope_values:
        return granted
    return scopes.allowed(granted, api.scope_values, entitlements.permissions_of(user, api, snapshot))
