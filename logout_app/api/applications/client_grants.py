"""What applications may ask of APIs by client credentials."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from idp.models import Application, ClientGrant, ResourceServer
from logout_app.api.frame import body, delegation, paging
from logout_app.api.frame.body import BodyReader
from logout_app.api.frame.errors import ApiError, not_found
from logout_app.api.frame.operations import CHECKPOINTS, PAGES, Call, Operation

PLACE = "clientGrants"


def shape(row: ClientGrant) -> dict[str, Any]:
    return {
        "id": f"cgr_{row.pk:016x}",
        "client_id": row.application.client_id,
        "audience": row.resource_server.identifier,
        "scope": list(row.scope),
        "subject_type": "client",
        "is_system": False,
    }


def list_grants(call: Call) -> Any:
    rows = ClientGrant.objects.select_related("application", "resource_server").order_by("pk")
    if audience := call.query.text("audience"):
        rows = rows.filter(resource_server__identifier=audience)
    if client_id := call.query.text("client_id"):
        rows = rows.filter(application__client_id=client_id)
    if call.query.text("subject_type") not in ("", "client"):
        rows = rows.none()
    return paging.pages(call, rows, "client_grants", shape)


def get(call: Call, grant_id: str) -> Any:
    return shape(_find(grant_id))


def create(call: Call) -> Any:
    with body.reading(call.body, PLACE) as reader:
        client_id = reader.text("client_id", required=True)
        audience = reader.text("audience", required=True)
        scope = _scope(reader)
    application = Application.objects.filter(client_id=client_id).first()
    api = ResourceServer.objects.filter(identifier=audience).first()
    if application is None:
        raise not_found("client")
    if api is None:
        raise not_found("resource_server")
    _check(call, api, scope)
    try:
        with transaction.atomic():
            row = ClientGrant.objects.create(application=application, resource_server=api, scope=scope)
    except IntegrityError:
        raise ApiError(409, "A resource with the same identifier already exists.", "conflict") from None
    return shape(row)


def update(call: Call, grant_id: str) -> Any:
    row = _find(grant_id)
    with body.reading(call.body, PLACE) as reader:
        scope = _scope(reader) if reader.has("scope") else list(row.scope)
    _check(call, row.resource_server, scope)
    if scope != row.scope:
        row.scope = scope
        row.save()
    return shape(row)


def delete(call: Call, grant_id: str) -> None:
    """Tokens of this API are worth nothing without it; those of other APIs live on where they are JWTs."""
    _find(grant_id).delete()


def _scope(reader: BodyReader) -> list[str]:
    return reader.texts("scope") or []


def _check(call: Call, api: ResourceServer, scope: list[str]) -> None:
    unknown = [one for one in scope if one not in api.scope_values]
    body.refuse([f"scope: {api.identifier} has no scope {one}" for one in unknown])
    delegation.refuse_beyond(call, api.identifier, scope)


def _find(grant_id: str) -> ClientGrant:
    digits = grant_id.removeprefix("cgr_")
    good = len(digits) == 16 and set(digits) <= set("0123456789abcdef") and int(digits, 16) < 2**63
    rows = ClientGrant.objects.select_related("application", "resource_server")
    row = rows.filter(pk=int(digits, 16)).first() if good else None
    if row is None:
        raise not_found("client_grant")
    return row


OPERATIONS = (
    Operation("GET", "client-grants", ["read:client_grants"], list_grants, "Grants of applications at APIs.",
              query=(*PAGES, *CHECKPOINTS, "audience", "client_id", "subject_type"), listed="client_grants"),
    Operation("POST", "client-grants", ["create:client_grants"], create, "Grant an application scopes of an API.", 201),
    Operation("GET", "client-grants/<str:grant_id>", ["read:client_grants"], get, "One grant."),
    Operation("PATCH", "client-grants/<str:grant_id>", ["update:client_grants"], update, "Other scopes."),
    Operation("DELETE", "client-grants/<str:grant_id>", ["delete:client_grants"], delete, "Take a grant back.", 204),
)  # fmt: skip
