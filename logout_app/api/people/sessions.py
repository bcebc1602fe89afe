"""Sessions: of somebody, one by its `sid`, and their ends, all through the door."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet

from idp.protocol.initiators import Initiator
from logout_app.api.frame import body, paging
from logout_app.api.frame.errors import ApiError, not_found
from logout_app.api.frame.operations import CHECKPOINTS, FIELDS, Call, Operation
from logout_app.api.frame.times import iso
from logout_app.api.people import found
from logout_app.ending.end import Selection, end_sessions
from logout_app.reauthentication.require import require_reauthentication
from sessions_app.models import SessionClient, SSOSession

MOST_ENTRIES = 25  # of session_metadata, as at Auth0
LONGEST_ENTRY = 255


def shape(row: SSOSession) -> dict[str, Any]:
    return {
        "id": row.sid,
        "user_id": row.user.user_id,
        "created_at": iso(row.created_at),
        "updated_at": iso(max(row.last_seen_at, row.auth_time, row.created_at)),
        "authenticated_at": iso(row.auth_time),
        "idle_expires_at": iso(row.idle_expires_at),
        "expires_at": iso(row.expires_at),
        "last_interacted_at": iso(row.last_seen_at),
        "device": device(row),
        "clients": [{"client_id": client.application.client_id} for client in row.clients.all()],
        "authentication": {"methods": [_method(one) for one in row.amr if isinstance(one, dict)]},
        "session_metadata": row.metadata or None,
        "reauthentication_pending": row.is_stale,
    }


def device(row: Any) -> dict[str, Any]:
    """Of a session or a family of tokens. Networks (ASN) are not looked up."""
    return {
        "initial_ip": row.initial_ip,
        "initial_user_agent": row.initial_user_agent or None,
        "initial_asn": None,
        "last_ip": row.last_ip,
        "last_user_agent": row.last_user_agent or None,
        "last_asn": None,
    }


def _method(one: dict[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("name", "timestamp", "type") if name in one}


def _living(call: Call) -> QuerySet[SSOSession]:
    clients = SessionClient.objects.select_related("application").order_by("joined_at", "pk")
    rows = SSOSession.objects.live(call.at).select_related("user")
    return rows.prefetch_related(Prefetch("clients", clients))


def _one(call: Call, sid: str) -> SSOSession:
    row = _living(call).filter(sid=sid).first()
    if row is None:
        raise not_found("session")
    return row


def of_user(call: Call, user_id: str) -> Any:
    return paging.checkpoints(call, _living(call).filter(user=found.pk_of(user_id)), "sessions", shape)


def get(call: Call, sid: str) -> Any:
    return shape(_one(call, sid))


def update(call: Call, sid: str) -> Any:
    row = _one(call, sid)
    with body.reading(call.body) as reader:
        metadata = reader.mapping("session_metadata")
        if metadata is not None and (reason := metadata_problem(metadata)):
            reader.problem("session_metadata", reason)
    if "session_metadata" in call.body:
        SSOSession.objects.filter(pk=row.pk).update(metadata=metadata or {})
        row.metadata = metadata or {}
    return shape(row)


def metadata_problem(metadata: dict[str, Any]) -> str | None:
    if len(metadata) > MOST_ENTRIES:
        return f"must not exceed {MOST_ENTRIES} entries"
    for key, value in metadata.items():
        if not isinstance(value, str) or max(len(key), len(value)) > LONGEST_ENTRY:
            return f"has text of at most {LONGEST_ENTRY} characters only"
    return None


def end(call: Call, sid: str) -> None:
    """Nothing to end is no error, as at Auth0. Offline refresh tokens stay."""
    row = SSOSession.objects.filter(sid=sid, ended_at=None).first()
    if row is not None:
        _end(call, Selection.session(row.pk), offline_tokens=False)


def revoke(call: Call, sid: str) -> None:
    _end(call, Selection.session(_one(call, sid).pk), offline_tokens=True)


def end_of_user(call: Call, user_id: str) -> None:
    _end(call, Selection.user(found.pk_of(user_id)), offline_tokens=False)


def revoke_access(call: Call, user_id: str) -> None:
    """Everything of somebody, or one session of theirs with its tokens."""
    pk = found.pk_of(user_id)
    with body.reading(call.body) as reader:
        sid, keeps = reader.text("session_id", longest=50), reader.boolean("preserve_refresh_tokens")
    if sid is None:
        _end(call, Selection.user(pk), offline_tokens=not keeps)
        return
    row = _one(call, sid)
    if row.user_id != pk:
        raise not_found("session")
    _end(call, Selection.session(row.pk), offline_tokens=not keeps)


def require_of_user(call: Call, user_id: str) -> Any:
    return _require(call, Selection.user(found.pk_of(user_id)))


def require_of_session(call: Call, sid: str) -> Any:
    return _require(call, Selection.session(_one(call, sid).pk))


def _require(call: Call, selection: Selection) -> dict[str, int]:
    if call.body:
        raise ApiError(400, "Payload validation error: no body is expected", "invalid_body")
    return {"sessions": len(require_reauthentication(selection, actor=call.actor, at=call.at))}


def _end(call: Call, selection: Selection, *, offline_tokens: bool) -> None:
    end_sessions(
        selection, initiator=Initiator.SESSION_REVOKED, actor=call.actor, at=call.at, offline_tokens=offline_tokens
    )


OPERATIONS = (
    Operation("GET", "users/<str:user_id>/sessions", ["read:sessions"], of_user,
              "Living sessions of somebody.", query=(*CHECKPOINTS, *FIELDS), listed="sessions", standby=True),
    Operation("DELETE", "users/<str:user_id>/sessions", ["delete:sessions"], end_of_user,
              "End every session of somebody; offline refresh tokens stay.", 202),
    Operation("POST", "users/<str:user_id>/revoke-access", ["delete:sessions", "delete:refresh_tokens"], revoke_access,
              "End everything of somebody, or one session with its tokens (`session_id`).", 204, needs_all=True),
    Operation("POST", "users/<str:user_id>/require-reauthentication", ["update:sessions"], require_of_user,
              "Sessions of somebody open nothing further until they prove again who they are. Ours, not Auth0's."),
    Operation("GET", "sessions/<str:sid>", ["read:sessions"], get, "One living session, by its `sid`.", query=FIELDS),
    Operation("PATCH", "sessions/<str:sid>", ["update:sessions"], update, "Replace `session_metadata`."),
    Operation("DELETE", "sessions/<str:sid>", ["delete:sessions"], end,
              "End a session; offline refresh tokens stay. An unknown one is no error.", 202),
    Operation("POST", "sessions/<str:sid>/revoke", ["delete:sessions", "delete:refresh_tokens"], revoke,
              "End a session and every refresh token that began in it.", 202, needs_all=True),
    Operation("POST", "sessions/<str:sid>/require-reauthentication", ["update:sessions"], require_of_session,
              "This session opens nothing further until its person proves again who they are. Ours."),
)  # fmt: skip
