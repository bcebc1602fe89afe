"""Public keys by which an application proves who it is (private_key_jwt), one by one. They stand in its `jwks`."""

from __future__ import annotations

import copy
from typing import Any

from idp.applications import rules, trail
from idp.models import Application
from idp.protocol import clients as words
from logout_app.api.applications import clients, public_keys
from logout_app.api.applications.public_keys import keys, shape
from logout_app.api.frame import body, delegation
from logout_app.api.frame.errors import ApiError, invalid_body, not_found
from logout_app.api.frame.operations import Call, Operation


def list_credentials(call: Call, client_id: str) -> Any:
    return [shape(key) for key in keys(clients.find(client_id))]


def get(call: Call, client_id: str, credential_id: str) -> Any:
    return shape(_one(clients.find(client_id), credential_id))


def create(call: Call, client_id: str) -> Any:
    row = clients.find(client_id, locked=True)
    if row.jwks_uri:
        raise ApiError(400, "The client's keys are at its jwks_uri", "operation_not_supported")
    with body.reading(call.body) as reader:
        key = public_keys.read(reader)
    if key is None:  # the reader has said why
        raise invalid_body("pem: is no public key")
    if any(shape(known)["id"] == shape(key)["id"] for known in keys(row)):
        raise ApiError(409, "The client has this key already", "conflict")
    _write(call, row, [*keys(row), key])
    return shape(key)


def update(call: Call, client_id: str, credential_id: str) -> Any:
    """What Auth0 changes is when a key is over: here one is over when it is deleted."""
    _one(clients.find(client_id), credential_id)
    raise ApiError(400, "Keys do not expire here: delete one that is not to be used", "operation_not_supported")


def delete(call: Call, client_id: str, credential_id: str) -> None:
    """Assertions that it signed are refused from now on."""
    row = clients.find(client_id, locked=True)
    gone = _one(row, credential_id)
    kept = [key for key in keys(row) if key is not gone]
    if all(key.get("use") == "enc" for key in kept) and row.token_endpoint_auth_method == words.PRIVATE_KEY_JWT:
        raise ApiError(400, "It is the last key of a client that has no other way in", "operation_not_supported")
    _write(call, row, kept)


def _one(row: Application, credential_id: str) -> dict[str, Any]:
    for key in keys(row):
        if shape(key)["id"] == credential_id:
            return key
    raise not_found("credential")


def _write(call: Call, row: Application, wanted: list[dict[str, Any]]) -> None:
    delegation.refuse_credentials_beyond(call, row)
    before = copy.copy(row)
    row.jwks = {"keys": wanted} if wanted else None
    found = [problem.reason for problem in rules.problems(row) if "jwks" in (problem.field, *problem.depends)]
    if found:
        raise invalid_body(f"jwks: {found[0]}")
    row.save()
    trail.changed(before, row, actor=call.actor, at=call.at, facts=call.caller.facts)


ALL = "clients/<str:client_id>/credentials"
ONE = f"{ALL}/<str:credential_id>"
OPERATIONS = (
    Operation("GET", ALL, ["read:client_credentials"], list_credentials, "Public keys of private_key_jwt."),
    Operation("POST", ALL, ["create:client_credentials"], create, "One more: `credential_type` public_key, `pem`.", 201),
    Operation("GET", ONE, ["read:client_credentials"], get, "One of them."),
    Operation("PATCH", ONE, ["update:client_credentials"], update, "Refused: keys do not expire here."),
    Operation("DELETE", ONE, ["delete:client_credentials"], delete, "Assertions that it signs are refused at once.", 204),
)  # fmt: skip
