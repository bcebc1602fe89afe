"""APIs, by their id or by their percent-encoded identifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from idp.applications import management_api
from idp.models import ResourceServer
from idp.tenants import resource_servers as entries
from idp.tenants.schema import ResourceServerEntry, resource_server
from logout_app.api.frame import body, paging
from logout_app.api.frame.errors import ApiError, invalid_body, not_found
from logout_app.api.frame.operations import CHECKPOINTS, FIELDS, PAGES, Call, Operation

PLACE = "resourceServers"
AUTH0_NAME = "Auth0 Management API"  # by which tools know it, and leave it alone
_POLICIES = {"client": {"policy": "require_client_grant"}, "user": {"policy": "allow_all"}}


def id_of(row: ResourceServer) -> str:
    return f"{row.pk:024x}"


def shape(row: ResourceServer) -> dict[str, Any]:
    """With JWTs as Auth0 names the formats; opaque tokens, which are dead at once, are ours."""
    found: dict[str, Any] = {
        "id": id_of(row),
        "name": AUTH0_NAME if row.identifier == management_api.audience() else row.name,
        "identifier": row.identifier,
        "allow_offline_access": row.allow_offline_access,
        "skip_consent_for_verifiable_first_party_clients": False,
        "subject_type_authorization": _POLICIES,
        "token_lifetime": row.token_lifetime,
        "token_lifetime_for_web": row.token_lifetime,
        "signing_alg": row.signing_alg,
        "enforce_policies": row.enforce_policies,
        "is_system": row.is_system,
    }
    found |= {"token_dialect": row.token_dialect} if row.issues_jwts else {"opaque": True}
    return found | ({"scopes": row.scopes} if row.scopes else {})


def find(named: str, *, locked: bool = False) -> ResourceServer:
    """By id first: 24 hexadecimal digits are no URI. Raises ApiError 404."""
    rows = ResourceServer.objects.select_for_update(no_key=True) if locked else ResourceServer.objects.all()
    if len(named) == 24 and set(named) <= set("0123456789abcdef") and (key := int(named, 16)) < 2**63:
        row = rows.filter(pk=key).first()
    else:
        row = rows.filter(identifier=named).first()
    if row is None:
        raise not_found("resource_server")
    return row


def list_servers(call: Call) -> Any:
    """Of those of the system only this one, unless they are named: a tool would make the others anew elsewhere."""
    rows = ResourceServer.objects.order_by("pk")
    if wanted := call.query.texts("identifiers"):
        rows = rows.filter(identifier__in=wanted)
    else:
        rows = rows.filter(Q(is_system=False) | Q(identifier=management_api.audience()))
    return paging.pages(call, rows, "resource_servers", shape, length=True)


def get(call: Call, named: str) -> Any:
    return shape(find(named))


def create(call: Call) -> Any:
    entry = _entry(call.body)
    row = ResourceServer(identifier=entry.identifier, **(entries.WHERE_SILENT | entry.columns))
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        message = f"A resource server with identifier {entry.identifier} already exists"
        raise ApiError(409, message, "conflict") from None
    return shape(row)


def update(call: Call, named: str) -> Any:
    row = find(named, locked=True)
    if row.is_system:
        return _unchanged(row, call.body)
    if call.body.get("identifier") not in (None, row.identifier):
        raise invalid_body("identifier: cannot change, as it is the audience of tokens that are out")
    entry = _entry({**call.body, "identifier": row.identifier})
    changed = [name for name, value in entry.columns.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, entry.columns[name])
    if changed:
        row.save()
    return shape(row)


def _unchanged(row: ResourceServer, said: Mapping[str, Any]) -> Any:
    """Tools write back what they read: that is no change."""
    found = shape(row)
    if any(value != found.get(name) for name, value in said.items() if value is not None):
        _refuse_system(row)
    return found


def delete(call: Call, named: str) -> None:
    row = find(named)
    _refuse_system(row)
    row.delete()


def _refuse_system(row: ResourceServer) -> None:
    if row.is_system:
        raise ApiError(400, "A system API cannot be changed", "operation_not_supported")


def _entry(said: Mapping[str, Any]) -> ResourceServerEntry:
    problems: list[str] = []
    given = {name: value for name, value in said.items() if value is not None}
    entry = resource_server(body.BodyReader(given, PLACE, problems, body.NOWHERE))
    body.refuse(problems, PLACE)
    return entry


OPERATIONS = (
    Operation("GET", "resource-servers", ["read:resource_servers"], list_servers, "APIs.",
              query=(*PAGES, *CHECKPOINTS, *FIELDS, "identifiers"), listed="resource_servers"),
    Operation("POST", "resource-servers", ["create:resource_servers"], create, "Register an API.", 201),
    Operation("GET", "resource-servers/<path:named>", ["read:resource_servers"], get, "One API.", query=FIELDS),
    Operation("PATCH", "resource-servers/<path:named>", ["update:resource_servers"], update, "Change an API."),
    Operation("DELETE", "resource-servers/<path:named>", ["delete:resource_servers"], delete,
              "Delete an API with its grants.", 204),
)  # fmt: skip
