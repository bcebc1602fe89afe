"""Public keys by which an application proves who it is (private_key_jwt), one by one. They stand in its `jwks`."""

from __future__ import annotations

import copy
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from idp.applications import rules, trail
from idp.models import Application
from idp.protocol import clients as words
from idp.protocol.clients import SIGNING_ALGORITHMS
from logout_app.api.applications import clients
from logout_app.api.frame import body, delegation
from logout_app.api.frame.errors import ApiError, invalid_body, not_found
from logout_app.api.frame.operations import Call, Operation

PUBLIC_KEY = "public_key"
LONGEST_PEM = 4096  # characters, as at Auth0
_KINDS: tuple[Any, ...] = (RSAKey, ECKey, OKPKey)


def list_credentials(call: Call, client_id: str) -> Any:
    return [shape(key) for key in _keys(clients.find(client_id))]


def get(call: Call, client_id: str, credential_id: str) -> Any:
    return shape(_one(clients.find(client_id), credential_id))


def create(call: Call, client_id: str) -> Any:
    row = clients.find(client_id, locked=True)
    if row.jwks_uri:
        raise ApiError(400, "The client's keys are at its jwks_uri", "operation_not_supported")
    key = _read(call)
    if any(shape(known)["id"] == shape(key)["id"] for known in _keys(row)):
        raise ApiError(409, "The client has this key already", "conflict")
    _write(call, row, [*_keys(row), key])
    return shape(key)


def update(call: Call, client_id: str, credential_id: str) -> Any:
    """What Auth0 changes is when a key is over: here one is over when it is deleted."""
    _one(clients.find(client_id), credential_id)
    raise ApiError(400, "Keys do not expire here: delete one that is not to be used", "operation_not_supported")


def delete(call: Call, client_id: str, credential_id: str) -> None:
    """Assertions that it signed are refused from now on."""
    row = clients.find(client_id, locked=True)
    gone = _one(row, credential_id)
    kept = [key for key in _keys(row) if key is not gone]
    if all(key.get("use") == "enc" for key in kept) and row.token_endpoint_auth_method == words.PRIVATE_KEY_JWT:
        raise ApiError(400, "It is the last key of a client that has no other way in", "operation_not_supported")
    _write(call, row, kept)


def shape(key: dict[str, Any]) -> dict[str, Any]:
    thumbprint = _imported(key).thumbprint()
    return {
        "id": f"cred_{thumbprint[:24]}",
        "name": key.get("name", ""),
        "kid": key.get("kid") or thumbprint,
        "alg": key.get("alg", ""),
        "credential_type": PUBLIC_KEY,
        "expires_at": None,
    }


def _keys(row: Application) -> list[dict[str, Any]]:
    listed = (row.jwks or {}).get("keys", [])
    return [key for key in listed if _is_readable(key)]


def _is_readable(key: dict[str, Any]) -> bool:
    try:
        _imported(key)
    except (JoseError, ValueError, KeyError, TypeError):
        return False
    return True


def _imported(key: dict[str, Any]) -> Any:
    return next(kind for kind in _KINDS if kind.key_type == key.get("kty")).import_key(key)


def _one(row: Application, credential_id: str) -> dict[str, Any]:
    for key in _keys(row):
        if shape(key)["id"] == credential_id:
            return key
    raise not_found("credential")


def _read(call: Call) -> dict[str, Any]:
    with body.reading(call.body) as reader:
        kind = reader.choice("credential_type", (PUBLIC_KEY,))
        name = reader.text("name", longest=128)
        algorithm = reader.choice("alg", SIGNING_ALGORITHMS)
        pem = reader.text("pem", required=True, longest=LONGEST_PEM)
        kid = reader.text("kid", longest=128)
        if kind is None:
            reader.problem("credential_type", f"must be {PUBLIC_KEY}")
        if reader.boolean("parse_expiry_from_cert") or reader.text("expires_at"):
            reader.problem("expires_at", "keys do not expire here: delete one that is not to be used")
    key = _from_pem(str(pem))
    found = {**key.as_dict(private=False), "kid": kid or key.thumbprint(), "use": "sig"}
    found |= {"alg": algorithm} if algorithm else {}
    return found | ({"name": name} if name else {})


def _from_pem(pem: str) -> Any:
    """A public key. A private one was shown to somebody now, and must not be used any more."""
    if "PRIVATE" in pem:
        raise invalid_body("pem: is a private key: give the public half only, and make a new key")
    for kind in _KINDS:
        try:
            return kind.import_key(pem)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue
    raise invalid_body("pem: is no public key in PEM")


def _write(call: Call, row: Application, keys: list[dict[str, Any]]) -> None:
    delegation.refuse_credentials_beyond(call, row)
    before = copy.copy(row)
    row.jwks = {"keys": keys} if keys else None
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
