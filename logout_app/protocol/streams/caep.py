"""What a line of the audit trail is in CAEP 1.0 and RISC 1.0: the event's type and its claims, without whom it is about."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from idp.protocol.signal_events import RISC
from logout_app.protocol.streams import vocabulary as v
from sessions_app.audit.events import EventType

_FACTORS: Mapping[str, str] = {"totp": "app", "webauthn": "fido2-roaming"}
_AMR_OF_SEVERAL = frozenset({"mfa", "otp", "hwk", "swk", "sc", "fpt", "face"})
_ENTITIES: Mapping[str, str] = {"user": "user", "admin": "admin", "app": "user", "scim": "admin"}


@dataclass(frozen=True, slots=True)
class Happening:
    """A line, and what is looked up for it: `claims` of a person as of now, their address as of then (`address`)."""

    type: str
    at: datetime
    sid: str = ""
    client_id: str = ""
    initiator: str = ""
    actor: str = ""
    ip: str = ""
    user_agent: str = ""
    words: str = ""  # what happened, for administrators
    data: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    address: str = ""  # of the person now


Claims = dict[str, Any]


def event(line: Happening) -> Claims | None:
    """The claims of its event. None: nothing of this line is for others."""
    uri, claims_of = _EVENTS[line.type]
    claims = claims_of(line)
    if claims is None or uri.startswith(RISC):
        return claims
    return _common(line) | claims


def uri_of(line_type: str) -> str:
    """The event that a line of this type may be."""
    return _EVENTS[line_type][0]


def lines(uris: Collection[str]) -> list[str]:
    """The types of lines that may be one of these events."""
    return [name for name, (uri, _) in _EVENTS.items() if uri in uris]


def _common(line: Happening) -> Claims:
    """CAEP 1.0 section 2: `reason_admin` is what the interoperability profile asks for."""
    entity = _ENTITIES.get(line.actor.partition(":")[0], "system" if line.actor else "user")
    reason = f"{line.words} ({line.initiator})" if line.initiator else line.words
    timestamp = int(line.at.timestamp())
    return {"event_timestamp": timestamp, "initiating_entity": entity, "reason_admin": {"en": reason}}


def _nothing_more(line: Happening) -> Claims:
    return {}


def _established(line: Happening) -> Claims:
    amr = [name for name in line.data.get("amr", ()) if isinstance(name, str)]
    return {"ext_id": line.sid} | ({"amr": amr} if amr else {})


def _presented(line: Happening) -> Claims:
    """Once for each application of a session, which is sample enough."""
    return {"ext_id": line.sid}


def _password(line: Happening) -> Claims:
    return {"credential_type": "password", "change_type": "update"}


def _factor(change: str) -> Callable[[Happening], Claims | None]:
    """Recovery codes are none of CAEP's."""

    def claims(line: Happening) -> Claims | None:
        kind = _FACTORS.get(str(line.data.get("factor", "")))
        return {"credential_type": kind, "change_type": change} if kind else None

    return claims


def _reset(line: Happening) -> Claims | None:
    """One event, of the strongest that there was: all of them are gone."""
    had = [_FACTORS[name] for name in ("webauthn", "totp") if name in line.data.get("factors", ())]
    return {"credential_type": had[0], "change_type": "revoke"} if had else None


def _assurance(line: Happening) -> Claims:
    several = not _AMR_OF_SEVERAL.isdisjoint(map(str, line.data.get("amr", ())))
    return {"namespace": "NIST-AAL", "current_level": "nist-aal2" if several else "nist-aal1"}


def _changed_claims(line: Happening) -> Claims | None:
    return {"claims": dict(line.claims)} if line.claims else None


def _reactivated(line: Happening) -> Claims | None:
    return {} if line.data.get("act") == "reactivated" else None


def _identifier(line: Happening) -> Claims | None:
    """Its subject is the address of before."""
    return {"new-value": line.address} if line.address else None


_EVENTS: Mapping[str, tuple[str, Callable[[Happening], Claims | None]]] = {
    EventType.ENDED: (v.SESSION_REVOKED, _nothing_more),
    EventType.OPENED: (v.SESSION_ESTABLISHED, _established),
    EventType.JOINED: (v.SESSION_PRESENTED, _presented),
    EventType.REAUTHENTICATED: (v.ASSURANCE_LEVEL_CHANGE, _assurance),
    EventType.PASSWORD_CHANGED: (v.CREDENTIAL_CHANGE, _password),
    EventType.SECOND_FACTOR_ADDED: (v.CREDENTIAL_CHANGE, _factor("create")),
    EventType.SECOND_FACTOR_REMOVED: (v.CREDENTIAL_CHANGE, _factor("delete")),
    EventType.SECOND_FACTORS_RESET: (v.CREDENTIAL_CHANGE, _reset),
    EventType.GROUPS_CHANGED: (v.TOKEN_CLAIMS_CHANGE, _changed_claims),
    EventType.ROLES_CHANGED: (v.TOKEN_CLAIMS_CHANGE, _changed_claims),
    EventType.ACCOUNT_BLOCKED: (v.ACCOUNT_DISABLED, _nothing_more),
    EventType.DEPROVISIONED: (v.ACCOUNT_DISABLED, _nothing_more),
    EventType.ACCOUNT_UNBLOCKED: (v.ACCOUNT_ENABLED, _nothing_more),
    EventType.PROVISIONED: (v.ACCOUNT_ENABLED, _reactivated),
    EventType.ACCOUNT_DELETED: (v.ACCOUNT_PURGED, _nothing_more),
    EventType.ADDRESS_CHANGED: (v.IDENTIFIER_CHANGED, _identifier),
}
