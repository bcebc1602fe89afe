"""What our own APIs say of themselves (RFC 9728): who issues tokens for them, which scopes there are, how tokens come.

The path after the well-known part is that of the API, with or without the slash at its end. An API is /userinfo, or a
resource server whose identifier is below our issuer; others' APIs speak for themselves.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from idp.http.middleware import for_programs
from idp.protocol import clients, standard_scopes
from idp.protocol.errors import ProtocolError
from idp.tenants import configuration
from idp.tenants.configuration import Snapshot
from idp.views.discovery import public
from idp.views.errors import json_errors


def hint(path: str) -> str:
    """For `WWW-Authenticate` of a refusal by the API at this path: where its metadata is (section 5.1)."""
    return f', resource_metadata="{settings.ISSUER}.well-known/oauth-protected-resource/{path}"'


@for_programs
@login_not_required
@require_safe
@json_errors
def protected_resource(request: HttpRequest, path: str) -> HttpResponse:
    found = _userinfo() if path == "userinfo" else _api(path, configuration.current())
    if found is None:
        raise ProtocolError("There is no API of ours at this path.", error="not_found", status=404)
    return public(found | _common())


def _userinfo() -> dict[str, Any]:
    scopes = [scope for scope in standard_scopes.STANDARD if scope != standard_scopes.OFFLINE_ACCESS]
    return {
        "resource": f"{settings.ISSUER}userinfo",
        "resource_name": "UserInfo",
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header", "body"],
    }


def _api(path: str, snapshot: Snapshot) -> dict[str, Any] | None:
    identifier = settings.ISSUER + path
    api = snapshot.resource_server(identifier) or snapshot.resource_server(f"{identifier}/")
    if api is None:
        return None
    return {
        "resource": api.identifier,
        "resource_name": str(api),
        "scopes_supported": sorted(api.scope_values),
        "bearer_methods_supported": ["header"],
    }


def _common() -> dict[str, Any]:
    return {
        "authorization_servers": [settings.ISSUER],
        "dpop_signing_alg_values_supported": list(clients.STRONG_ALGORITHMS),
    }
