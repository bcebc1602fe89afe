"""Nobody gives more of this API than they have: not by a grant, a role or somebody else's secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from idp.applications import management_api
from idp.models import Application, ClientGrant
from logout_app.api.frame.errors import ApiError
from logout_app.api.frame.operations import Call


def refuse_beyond(call: Call, audience: str, scopes: Iterable[str]) -> None:
    """Raises ApiError 403 where these scopes are of this API and the caller lacks one of them."""
    beyond = sorted(set(scopes) - call.caller.scopes) if audience == management_api.audience() else []
    if beyond:
        raise ApiError(403, f"Nobody gives more than they have: {', '.join(beyond)}", "insufficient_scope")


def refuse_lacking(call: Call, scope: str) -> None:
    """For an act that lets somebody else see what this scope shows. Raises ApiError 403."""
    refuse_beyond(call, management_api.audience(), [scope])


def refuse_permissions_beyond(call: Call, permissions: Iterable[Mapping[str, Any]]) -> None:
    for one in permissions:
        refuse_beyond(call, one["resource_server_identifier"], [one["permission_name"]])


def refuse_credentials_beyond(call: Call, application: Application) -> None:
    """Whoever gets the secret of an application is it, with all that it may here."""
    audience = management_api.audience()
    granted = ClientGrant.objects.filter(application=application.pk, resource_server__identifier=audience)
    refuse_beyond(call, audience, (scope for scopes in granted.values_list("scope", flat=True) for scope in scopes))
