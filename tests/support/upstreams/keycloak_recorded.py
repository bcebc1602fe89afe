"""What Keycloak 26.7.3 really sends as a transmitter of Shared Signals, recorded from its distribution (`start-dev --features=ssf`).

Metadata, the answer that makes a stream, statuses, and events as they were pushed and polled; only issuer, ids and times are filled
in. Native are two events, session-revoked and credential-change; disabling or deleting somebody there sends none.
"""

from __future__ import annotations

import time
from typing import Any

from tests.support.upstreams.scripted_oidc import ABSENT
from tests.support.upstreams.scripted_transmitter import CAEP, SSF, ScriptedTransmitter

METADATA_OF_REALM: dict[str, Any] = {
    "spec_version": "1_0",
    "delivery_methods_supported": [
        "urn:ietf:rfc:8935",
        "urn:ietf:rfc:8936",
        "https://schemas.openid.net/secevent/risc/delivery-method/push",
        "https://schemas.openid.net/secevent/risc/delivery-method/poll",
    ],
    "critical_subject_members": ["user"],
    "default_subjects": "NONE",
    "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
}
# Beside what every answer has; a realm says NONE unless its receiver says ALL.
OF_STREAM: dict[str, Any] = {
    "events_supported": [f"{CAEP}credential-change", f"{CAEP}session-revoked"],
    "events_delivered": [f"{CAEP}credential-change", f"{CAEP}session-revoked"],
    "min_verification_interval": 60,
    "description": "Curfew",
}
TOO_MANY = (
    429,
    {
        "error": "too_many_requests",
        "error_description": "Wait at least 60 seconds before triggering another verification",
    },
)
TOKEN_ANSWER: dict[str, Any] = {
    "expires_in": 300,
    "refresh_expires_in": 0,
    "token_type": "Bearer",
    "not-before-policy": 0,
    "scope": "ssf.manage profile email ssf.read",
}


def session_revoked(by: ScriptedTransmitter, sub: str, session: str) -> str:
    """A person's own sign-out, with the `sid` of the ID token; an administrator's of all sessions, with the id ALL."""
    subject = {"format": "complex", "user": by.subject(sub), "session": {"format": "opaque", "id": session}}
    return by.token(f"{CAEP}session-revoked", _revoked(), sub_id=subject, txn="460c4d31-c260-47c7-a951-638b69530bdd")


def session_revoked_for_apple(by: ScriptedTransmitter, email: str, session: str) -> str:
    """Its profile SSE_CAEP: no `sub_id`, no `txn`, and a complex subject that does not say so."""
    subject = {"session": {"format": "opaque", "id": session}, "user": {"format": "email", "email": email}}
    return by.token(f"{CAEP}session-revoked", {"subject": subject, **_revoked()})


def password_reset(by: ScriptedTransmitter, sub: str) -> str:
    """By an administrator; without any reason."""
    event = {
        "event_timestamp": int(time.time()),
        "initiating_entity": "admin",
        "credential_type": "password",
        "change_type": "update",
        "kc_credential_type": "password",
    }
    return by.token(f"{CAEP}credential-change", event, sub_id=by.subject(sub))


def verification(by: ScriptedTransmitter, stream_id: str, state: str) -> str:
    return by.token(f"{SSF}verification", {"state": state}, sub_id={"format": "opaque", "id": stream_id})


def verification_for_apple(by: ScriptedTransmitter, stream_id: str) -> str:
    """SSE_CAEP again: the stream is a user, and the state is left out although it was asked with one."""
    event = {"subject": {"user": {"format": "opaque", "id": stream_id}}}
    return by.token(f"{SSF}verification", event, sub_id=ABSENT)


def stream_updated(by: ScriptedTransmitter, stream_id: str, status: str) -> str:
    """`status` is the whole answer of its status endpoint."""
    event = {"status": {"stream_id": stream_id, "status": status}}
    return by.token(f"{SSF}stream-updated", event, sub_id={"format": "opaque", "id": stream_id})


def _revoked() -> dict[str, Any]:
    return {
        "event_timestamp": int(time.time()),
        "initiating_entity": "user",
        "reason_admin": {"en": "User logout"},
    }
