"""Signing keys: which there are, and the next one begins."""

from __future__ import annotations

import hashlib
from typing import Any

from idp.crypto import keys, rotation
from idp.crypto.rotation import Mover
from idp.models import KeyStatus, SigningKey
from logout_app.api.frame.errors import ApiError
from logout_app.api.frame.operations import Call, Operation
from logout_app.api.frame.times import iso


def list_keys(call: Call) -> Any:
    return [shape(row) for row in SigningKey.objects.order_by("-created_at", "-pk")]


def get(call: Call, kid: str) -> Any:
    return shape(_key(kid))


def _key(kid: str) -> SigningKey:
    row = SigningKey.objects.filter(kid=kid).first()
    if row is None:
        raise ApiError(404, "The key does not exist", "inexistent_key")
    return row


def rotate(call: Call) -> Any:
    """Where there is no successor yet, one is published, which signs as soon as every cache knows it."""
    done = rotation.rotate(call.at, force=True, mover=_mover(call))
    if not done:
        raise ApiError(409, "The next key is published, and signs by itself when every cache knows it", "conflict")
    row = (
        SigningKey.objects.filter(status__in=[KeyStatus.NEXT, KeyStatus.ACTIVE]).order_by("-created_at", "-pk").first()
    )
    return {"kid": row.kid if row else "", "done": [str(move) for move in done]}


def revoke(call: Call, kid: str) -> Any:
    """Of a previous key, as at Auth0: tokens that it signed are dead. One that signs is replaced first."""
    if rotation.withdraw_retiring(call.at, _key(kid).kid, mover=_mover(call)) is None:
        raise ApiError(
            409,
            "Only a previous key can be revoked: rotate first. If the key that signs was stolen, withdraw it in the console, or by "
            "`manage.py rotate_keys --now`",
            "conflict",
        )
    found = shape(_key(kid))
    return {"kid": kid, "cert": found["cert"]}


def _mover(call: Call) -> Mover:
    return Mover(call.actor, call.caller.facts)


def shape(row: SigningKey) -> dict[str, Any]:
    """The public half as a JWK; there are no certificates, so `cert` is the public key alone."""
    public: Any = keys.KINDS[row.algorithm].import_key(row.public_jwk)  # never a symmetric one
    found: dict[str, Any] = {
        "kid": row.kid,
        "cert": public.as_pem(private=False).decode(),
        "fingerprint": hashlib.sha256(public.as_der(private=False)).hexdigest(),
        "thumbprint": public.thumbprint(),
        "alg": row.algorithm,
        "jwk": row.public_jwk,
        "current": row.status == KeyStatus.ACTIVE,
        "next": row.status == KeyStatus.NEXT,
        "previous": row.status == KeyStatus.RETIRING,
        "revoked": row.status == KeyStatus.GONE,
        "current_since": iso(row.activated_at),
        "current_until": iso(row.retired_at),
        "revoked_at": iso(row.gone_at),
    }
    return {name: value for name, value in found.items() if value is not None}


OPERATIONS = (
    Operation("GET", "keys/signing", ["read:signing_keys"], list_keys, "Signing keys, gone ones too."),
    Operation("POST", "keys/signing/rotate", ["create:signing_keys"], rotate, "A successor is published; it signs when every cache knows it.", 201),
    Operation("PUT", "keys/signing/<str:kid>/revoke", ["update:signing_keys"], revoke, "A previous key is gone at once, and with it what it signed."),
    Operation("GET", "keys/signing/<str:kid>", ["read:signing_keys"], get, "One of them."),
)  # fmt: skip
