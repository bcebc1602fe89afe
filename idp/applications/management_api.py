"""The Management API as an API like any other: its audience, its scopes, and what no entrance may change of it.

Tokens for it are opaque, so that they die with the application, its secret's rotation aside, and with the grant; people get
of it only what is a permission of their roles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from idp.models import ResourceServer

NAME = "Management API"
LIFETIME = 86400  # seconds, as at Auth0
_ACTS = {"read": "Read", "create": "Create", "update": "Change", "delete": "Delete"}
_OBJECTS: dict[str, str] = {  # what there is -> the acts on it that are scopes
    "users": "read create update delete",
    "users_app_metadata": "read update",
    "user_idp_tokens": "read",
    "sessions": "read update delete",
    "refresh_tokens": "read update delete",
    "authentication_methods": "read delete",
    "clients": "read create update delete",
    "client_keys": "read update",
    "client_credentials": "read create update delete",
    "client_grants": "read create update delete",
    "resource_servers": "read create update delete",
    "connections": "read create update delete",
    "connections_options": "read",
    "roles": "read create update delete",
    "role_members": "read",
    "groups": "read",
    "organizations": "read",
    "grants": "read delete",
    "device_credentials": "read",
    "logs": "read",
    "stats": "read",
    "tenant_settings": "read update",
    "branding": "read update",
    "custom_domains": "read",
    "prompts": "read update",
    "email_templates": "read create update delete",
    "attack_protection": "read",
    "log_streams": "read create update delete",
    "event_streams": "read create update delete",
    "event_deliveries": "read update",
    "signing_keys": "read create update",
    "user_tickets": "create",
    "logout_events": "read",
    "deliveries": "read update",
    "evidence": "read",
}
SCOPES: dict[str, str] = {
    f"{act}:{thing}": f"{_ACTS[act]} {thing.replace('_', ' ')}"
    for thing, acts in _OBJECTS.items()
    for act in acts.split()
}


def audience() -> str:
    return f"{settings.ISSUER}api/v2/"


def pin(api: ResourceServer) -> None:
    """Whatever an entrance wrote: these stay. Called before every save."""
    if api.identifier != audience():
        return
    for column, value in pinned().items():
        setattr(api, column, value)


def pinned() -> dict[str, Any]:
    return {
        "scopes": [{"value": value, "description": words} for value, words in SCOPES.items()],
        "token_dialect": "opaque",
        "enforce_policies": True,
        "allow_offline_access": False,
        "is_system": True,
    }
