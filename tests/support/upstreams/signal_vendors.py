"""Security events in the shapes in which vendors send them, each by its own words on what it sends.

Okta: developer.okta.com/docs/reference/ssf-transmitter-sets (subject in the event, the user one level down or not, times in
milliseconds). Google: developers.google.com/identity/protocols/risc (RISC's drafts: subject_type, an audience for each client id, a
test event without a subject), and its Workspace API (subject at both places). Apple is a receiver: a transmitter that follows its
profile for Apple Business Manager (Keycloak's SSE_CAEP, bridges for authentik) has the names of the drafts of 2021.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.upstreams.scripted_oidc import ABSENT
from tests.support.upstreams.scripted_transmitter import CAEP, RISC, ScriptedTransmitter

OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
SSE = "https://schemas.openid.net/secevent/sse/event-type/"


@dataclass(frozen=True)
class SignalVendor:
    """`ends`: tokens that end the session of `sub`, whose address is `email`; `test`: its test event, with this state."""

    ends: Callable[[ScriptedTransmitter, str, str], list[str]]
    test: Callable[[ScriptedTransmitter, str], str]
    older_names: bool = False


def _milliseconds() -> int:
    return int(time.time() * 1000)


def _okta(by: ScriptedTransmitter, sub: str, email: str) -> list[str]:
    said = {
        "subject": {"user": by.subject(sub)},
        "reason_admin": {"en": "Policy Violation: C076E822"},
        "reason_user": {"en": "This device is no longer compliant."},
        "event_timestamp": _milliseconds(),
    }
    return [by.token(f"{CAEP}session-revoked", said)]


def okta_credential_change(by: ScriptedTransmitter, sub: str, **changes: Any) -> str:
    said = {
        "subject": by.subject(sub),
        "credential_type": "password",
        "change_type": "revoke",
        "friendly_name": "PASSWORD_AS_FACTOR",
        "initiating_entity": "user",
        "reason_admin": {"en": "User update password for Okta"},
        "event_timestamp": _milliseconds(),
    }
    return by.token(f"{CAEP}credential-change", said | changes)


def _google(by: ScriptedTransmitter, sub: str, email: str) -> list[str]:
    subject = {"subject_type": "iss-sub", "iss": by.issuer, "sub": sub}
    audiences = [by.audience, "123456789-ios.apps.googleusercontent.com"]
    return [
        by.token(uri, {"subject": subject, **more}, aud=audiences)
        for uri, more in (
            (f"{RISC}sessions-revoked", {}),
            (f"{OAUTH}tokens-revoked", {}),
            (f"{RISC}account-disabled", {"reason": "hijacking"}),
        )
    ]


def _google_test(by: ScriptedTransmitter, state: str) -> str:
    return by.token(f"{RISC}verification", {"state": state})


def _workspace(by: ScriptedTransmitter, sub: str, email: str) -> list[str]:
    subject = {"format": "email", "email": email}
    event = {"subject": subject, "event_timestamp": int(time.time())}
    return [by.token(f"{CAEP}session-revoked", event, sub_id=subject)]


def _for_apple(by: ScriptedTransmitter, sub: str, email: str) -> list[str]:
    event = {"subject": {"format": "email", "email": email}, "event_timestamp": int(time.time())}
    return [by.token(f"{CAEP}session-revoked", event)]


def _for_apple_test(by: ScriptedTransmitter, state: str) -> str:
    event = {"subject": {"format": "opaque", "id": "stream-1"}, "state": state}
    return by.token(f"{SSE}verification", event, sub_id=ABSENT)


def _plain_test(by: ScriptedTransmitter, state: str) -> str:
    subject = {"format": "opaque", "id": "stream-1"}
    return by.token("https://schemas.openid.net/secevent/ssf/event-type/verification", {"state": state}, sub_id=subject)


VENDORS = {
    "okta": SignalVendor(_okta, _plain_test),
    "google": SignalVendor(_google, _google_test, older_names=True),
    "google workspace": SignalVendor(_workspace, _plain_test),
    "apple": SignalVendor(_for_apple, _for_apple_test, older_names=True),
}
