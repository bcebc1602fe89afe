"""Refresh tokens: a family is what Auth0 calls one. Its id is no secret and opens nothing."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from idp.protocol.initiators import Initiator
from logout_app.api.frame import body, paging
from logout_app.api.frame.errors import invalid_body, invalid_query, not_found
from logout_app.api.frame.operations import CHECKPOINTS, FIELDS, PAGES, Call, Operation
from logout_app.api.frame.times import iso
from logout_app.api.people import found
from logout_app.api.people.sessions import device, metadata_problem
from sessions_app.models import RefreshTokenFamily
from sessions_app.oauth import revocation
from sessions_app.protocol import user_agents

MOST_IDS = 100
REASON = Initiator.SESSION_REVOKED.value


def shape(row: RefreshTokenFamily) -> dict[str, Any]:
    session = row.session
    return {
        "id": row.public_id,
        "user_id": row.user.user_id,
        "client_id": row.application.client_id,
        "session_id": session.sid if session and session.ended_at is None else None,
        "rotating": row.rotating,
        "created_at": iso(row.created_at),
        "idle_expires_at": iso(row.idle_expires_at),
        "expires_at": iso(row.expires_at),
        "last_exchanged_at": iso(row.last_exchanged_at),
        "resource_servers": [{"audience": row.audience, "scopes": row.scope}],
        "device": device(row),
        "refresh_token_metadata": row.metadata or None,
    }


def _living(call: Call) -> QuerySet[RefreshTokenFamily]:
    return revocation.living(call.at).select_related("user", "application", "session")


def of_user(call: Call, user_id: str) -> Any:
    return paging.checkpoints(call, _living(call).filter(user=found.pk_of(user_id)), "tokens", shape)


def list_tokens(call: Call) -> Any:
    user_id = call.query.text("user_id")
    if not user_id:
        raise invalid_query("Missing required 'user_id' parameter.")
    rows = _living(call).filter(user=found.pk_of(user_id))
    if client_id := call.query.text("client_id"):
        rows = rows.filter(application__client_id=client_id)
    return paging.checkpoints(call, rows, "refresh_tokens", shape)


def get(call: Call, token_id: str) -> Any:
    row = _living(call).filter(public_id=token_id).first()
    if row is None:
        raise not_found("refresh_token")
    return shape(row)


def update(call: Call, token_id: str) -> Any:
    """The metadata only, which replaces what was there."""
    row = _living(call).filter(public_id=token_id).first()
    if row is None:
        raise not_found("refresh_token")
    with body.reading(call.body) as reader:
        metadata = reader.mapping("refresh_token_metadata")
        if metadata is not None and (reason := metadata_problem(metadata)):
            reader.problem("refresh_token_metadata", reason)
    if "refresh_token_metadata" in call.body:
        row.metadata = metadata or {}
        RefreshTokenFamily.objects.filter(pk=row.pk).update(metadata=row.metadata)
    return shape(row)


def delete(call: Call, token_id: str) -> None:
    _revoke(call, RefreshTokenFamily.objects.filter(public_id=token_id))


def delete_of_user(call: Call, user_id: str) -> None:
    _revoke(call, RefreshTokenFamily.objects.filter(user=found.pk_of(user_id)))


def revoke(call: Call) -> None:
    """Exactly one of: ids; a person; a person's at an application, or there for an API."""
    with body.reading(call.body) as reader:
        ids = reader.texts("ids", longest=50)
        user_id, client_id = reader.text("user_id"), reader.text("client_id")
        audience = reader.text("audience")
    if (ids is None) == (user_id is None) or (client_id and not user_id) or (audience and not client_id):
        raise invalid_body("give ids, or user_id with client_id and audience as needed")
    if ids is not None:
        if not 0 < len(ids) <= MOST_IDS:
            raise invalid_body(f"ids has 1 to {MOST_IDS} entries")
        _revoke(call, RefreshTokenFamily.objects.filter(public_id__in=ids))
        return
    rows = RefreshTokenFamily.objects.filter(user=found.pk_of(str(user_id)))
    rows = rows.filter(application__client_id=client_id) if client_id else rows
    _revoke(call, rows.filter(audience=audience) if audience else rows)


def _revoke(call: Call, rows: QuerySet[RefreshTokenFamily]) -> None:
    revocation.revoke(rows, actor=call.actor, facts=call.caller.facts, at=call.at, reason=REASON)


def list_devices(call: Call) -> Any:
    """Auth0's older view of the same."""
    rows = _living(call).order_by("pk")
    if user_id := call.query.text("user_id"):
        rows = rows.filter(user__user_id=user_id)
    if client_id := call.query.text("client_id"):
        rows = rows.filter(application__client_id=client_id)
    if call.query.text("type") not in ("", "refresh_token"):
        rows = rows.none()
    return paging.pages(call, rows, "device_credentials", _as_device)


def _as_device(row: RefreshTokenFamily) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "device_name": user_agents.in_words(row.last_user_agent or row.initial_user_agent),
        "type": "refresh_token",
        "user_id": row.user.user_id,
        "client_id": row.application.client_id,
        "last_used": iso(row.last_exchanged_at),
    }


OPERATIONS = (
    Operation("GET", "device-credentials", ["read:device_credentials"], list_devices, "Living refresh tokens by device.",
              query=(*PAGES, *FIELDS, "user_id", "client_id", "type"), listed="device_credentials", standby=True),
    Operation("DELETE", "device-credentials/<str:token_id>", ["delete:refresh_tokens"], delete, "Revoke one.", 204),
    Operation("GET", "users/<str:user_id>/refresh-tokens", ["read:refresh_tokens"], of_user,
              "Living refresh tokens of somebody, under the key `tokens`.", query=(*CHECKPOINTS, *FIELDS), listed="tokens",
              standby=True),
    Operation("DELETE", "users/<str:user_id>/refresh-tokens", ["delete:refresh_tokens"], delete_of_user,
              "Revoke every refresh token of somebody.", 202),
    Operation("GET", "refresh-tokens", ["read:refresh_tokens"], list_tokens, "Living refresh tokens of `user_id`.",
              query=(*CHECKPOINTS, *FIELDS, "user_id", "client_id"), listed="refresh_tokens", standby=True),
    Operation("POST", "refresh-tokens/revoke", ["delete:refresh_tokens"], revoke,
              "Revoke many: `ids`, or all of `user_id`, at `client_id`, for `audience`.", 202),
    Operation("GET", "refresh-tokens/<str:token_id>", ["read:refresh_tokens"], get, "One living refresh token.", query=FIELDS),
    Operation("PATCH", "refresh-tokens/<str:token_id>", ["update:refresh_tokens"], update, "Replace `refresh_token_metadata`."),
    Operation("DELETE", "refresh-tokens/<str:token_id>", ["delete:refresh_tokens"], delete,
              "Revoke one. An unknown one is no error.", 202),
)  # fmt: skip
