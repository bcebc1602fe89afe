"""Scopes of an API that are permissions of people: granted are those that somebody asked for and their roles allow."""

from __future__ import annotations

from collections.abc import Collection

from idp.directory import entitlements
from idp.models import ResourceServer, User
from idp.tenants.configuration import Snapshot
from sessions_app.protocol import scopes


def allowed(granted: list[str], api: ResourceServer | None, user: User, snapshot: Snapshot) -> list[str]:
    """What of the granted scopes stays. No statement where the API leaves it to the application."""
    if api is None or not api.enforce_policies or not set(granted) & api.scope_values:
        return granted
    return scopes.allowed(granted, api.scope_values, entitlements.permissions_of(user, api, snapshot))


def refused_if_wider(api: ResourceServer | None) -> Collection[str]:
    """Scopes that a refresh may not ask for beyond what was granted. Those that roles did not allow were left out when they
    were asked for first, and are left out again: client libraries repeat their list.
    """
    return () if api is None or api.enforce_policies else api.scope_values
