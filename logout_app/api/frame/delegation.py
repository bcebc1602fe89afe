"""Nobody gives more of our own APIs than they have: not by a grant, a role or somebody else's secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from idp.applications import management_api
from idp.connections import trust
from idp.directory import own_apis
from idp.models import Application, ClientGrant, Provisioning
from logout_app.api.frame.errors import ApiError
from logout_app.api.frame.operations import Call


def refuse_beyond(call: Call, audience: str, scopes: Iterable[str]) -> None:
    """Raises ApiError 403 where these scopes are of an API of ours and the caller may not give one of them."""
    if beyond := own_apis.beyond(audience, list(scopes), call.caller.scopes):
        raise ApiError(403, f"Nobody gives more than they have: {', '.join(beyond)}", "insufficient_scope")


def refuse_lacking(call: Call, scope: str) -> None:
    """For an act that lets somebody else see what this scope shows. Raises ApiError 403."""
    refuse_beyond(call, management_api.audience(), [scope])


def refuse_permissions_beyond(call: Call, permissions: Iterable[Mapping[str, Any]]) -> None:
    for one in permissions:
        refuse_beyond(call, one["resource_server_identifier"], [one["permission_name"]])


def refuse_credentials_beyond(call: Call, application: Application) -> None:
    """Whoever gets the secret of an application is it, with all that it may here, and with the accounts that it writes."""
    granted = ClientGrant.objects.filter(
        application=application.pk, resource_server__identifier__in=own_apis.identifiers()
    )
    for audience, scopes in granted.values_list("resource_server__identifier", "scope"):
        refuse_beyond(call, audience, scopes)
    for row in Provisioning.objects.filter(applications=application.pk).select_related("connection"):
        if reason := trust.concern(row.connection, lends=call.caller.scopes):
            message = f"Only a superuser may change this: the client provisions {row.connection}, and {reason}."
            raise ApiError(403, message, "operation_not_supported")
