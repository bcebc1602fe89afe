"""Whether a connection is written by SCIM, and its tokens."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from idp.connections import trust
from idp.models import Connection, Provisioning, ProvisioningToken
from idp.scim import tokens
from idp.scim.context import SCOPES
from idp.scim.tokens import CannotProvision
from logout_app.api.frame import body
from logout_app.api.frame.errors import ApiError
from logout_app.api.frame.operations import Call, Operation
from logout_app.api.frame.times import iso
from logout_app.api.tenant.connections import find

LONGEST_LIFE = 10 * 365 * 86400  # seconds
# What this release writes of which attribute; the mapping is fixed.
MAPPING = [
    {"scim": scim, "auth0": auth0}
    for scim, auth0 in (
        ("userName", "preferred_username"),
        ("emails[primary eq true].value", "email"),
        ("externalId", "app_metadata.external_id"),
        ("active", "blocked"),
        ("displayName", "name"),
        ("name.givenName", "given_name"),
        ("name.familyName", "family_name"),
        ("nickName", "nickname"),
    )
]


def get(call: Call, connection_id: str) -> Any:
    return _shape(*_switched_on(connection_id))


def create(call: Call, connection_id: str) -> Any:
    row = find(connection_id)
    _refuse_guarded(call, row)
    if Provisioning.objects.filter(connection=row, enabled=True).exists():
        raise ApiError(409, "SCIM configuration already exists", "conflict")
    try:
        made = tokens.switch_on(row, actor=call.actor, at=call.at, facts=call.caller.facts)
    except CannotProvision as refused:
        raise ApiError(404, str(refused)) from None
    return _shape(row, made)


def delete(call: Call, connection_id: str) -> None:
    row, found = _switched_on(connection_id)
    _refuse_guarded(call, row)
    tokens.switch_off(found, actor=call.actor, at=call.at, facts=call.caller.facts)


def default_mapping(call: Call, connection_id: str) -> Any:
    _switched_on(connection_id)
    return {"mapping": MAPPING}


def list_tokens(call: Call, connection_id: str) -> Any:
    _, found = _switched_on(connection_id)
    return [_token(row) for row in found.tokens.order_by("pk")]


def create_token(call: Call, connection_id: str) -> Any:
    row, found = _switched_on(connection_id)
    _refuse_guarded(call, row)
    with body.reading(call.body) as reader:
        scopes = reader.texts("scopes", choices=SCOPES)
        lifetime = reader.integer("token_lifetime", least=tokens.SHORTEST, most=LONGEST_LIFE)
    try:
        made = tokens.create(
            found,
            actor=call.actor,
            at=call.at,
            scopes=SCOPES if scopes is None else scopes,
            lifetime=lifetime,
            facts=call.caller.facts,
        )
    except CannotProvision as refused:
        raise ApiError(400, str(refused), "operation_not_supported") from None
    return _token(made.row) | {"token": made.raw}


def delete_token(call: Call, connection_id: str, token_id: str) -> None:
    row, found = _switched_on(connection_id)
    _refuse_guarded(call, row)
    token = found.tokens.filter(token_id=token_id).select_related("provisioning__connection").first()
    if token is None:
        raise ApiError(404, "Not Found")
    tokens.remove(token, actor=call.actor, at=call.at, facts=call.caller.facts)


def _refuse_guarded(call: Call, row: Connection) -> None:
    """Who writes accounts and groups of a connection decides who signs in as whom, as who changes its options does."""
    if reason := trust.concern(row, lends=call.caller.scopes):
        raise ApiError(403, f"Only a superuser may change this (provisioning): {reason}.", "operation_not_supported")


def _switched_on(connection_id: str) -> tuple[Connection, Provisioning]:
    row = find(connection_id)
    found = Provisioning.objects.filter(connection=row, enabled=True).first()
    if found is None:
        raise ApiError(404, "Not Found")
    return row, found


def _shape(row: Connection, found: Provisioning) -> dict[str, Any]:
    return {
        "tenant_name": settings.ISSUER_PARTS.hostname,
        "connection_id": row.public_id,
        "connection_name": row.name,
        "strategy": row.strategy,
        "user_id_attribute": found.sign_in_by,
        "mapping": MAPPING,
        "created_at": iso(found.created_at),
        "updated_on": iso(found.created_at),
    }


def _token(row: ProvisioningToken) -> dict[str, Any]:
    found: dict[str, Any] = {"token_id": row.token_id, "scopes": list(row.scopes), "created_at": iso(row.created_at)}
    found |= {"valid_until": iso(row.valid_until)} if row.valid_until else {}
    return found | ({"last_used_at": iso(row.last_used_at)} if row.last_used_at else {})


ONE = "connections/<str:connection_id>/scim-configuration"
OPERATIONS = (
    Operation("GET", ONE, ["read:connections"], get, "How it is provisioned; 404 if it is not."),
    Operation("POST", ONE, ["update:connections"], create, "Let it be written by SCIM.", 201),
    Operation("DELETE", ONE, ["update:connections"], delete, "Nobody writes any more.", 204),
    Operation("GET", f"{ONE}/default-mapping", ["read:connections"], default_mapping, "Which attribute is which."),
    Operation("GET", f"{ONE}/tokens", ["read:connections"], list_tokens, "Its tokens, without their secrets."),
    Operation("POST", f"{ONE}/tokens", ["update:connections"], create_token, "A token, shown once.", 201),
    Operation("DELETE", f"{ONE}/tokens/<str:token_id>", ["update:connections"], delete_token, "Dead at once.", 204),
)  # fmt: skip
