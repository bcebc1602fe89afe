"""Security event tokens that we send (RFC 8417, Shared Signals Framework 1.0 section 4), as a stream wants them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

TYP = "secevent+jwt"
MEDIA_TYPE = "application/secevent+jwt"
IDENTIFIER_FORMATS = ("email", "iss_sub")


def claims(
    *, issuer: str, audiences: list[str], jti: str, txn: str, facts: Mapping[str, Any], place: str, at: datetime
) -> dict[str, Any]:
    """One event. Neither `sub` nor `exp`: it must never be taken for another token (section 4.1).

    `place`: where the subject stands. Google reads it in both places, Okta in the event only.
    """
    uri, event, subject = facts["uri"], dict(facts["event"]), facts["subject"]
    if place != "sub_id":
        event["subject"] = {"user": subject} if place == "event" else subject
    found: dict[str, Any] = {
        "iss": issuer,
        "aud": audiences[0] if len(audiences) == 1 else audiences,
        "iat": int(at.timestamp()),
        "jti": jti,
        "txn": txn,
        "events": {uri: event},
    }
    return found if place == "event" else found | {"sub_id": subject}


def email(address: str) -> dict[str, str]:
    return {"format": "email", "email": address}


def iss_sub(issuer: str, sub: str) -> dict[str, str]:
    return {"format": "iss_sub", "iss": issuer, "sub": sub}


def complex_subject(user: Mapping[str, str], sid: str) -> dict[str, Any]:
    session = {"session": {"format": "opaque", "id": sid}} if sid else {}
    return {"format": "complex", "user": dict(user), **session}


def opaque(name: str) -> dict[str, str]:
    return {"format": "opaque", "id": name}


def digest_of(subject: Mapping[str, Any]) -> str:
    """The same for a subject however its members are ordered; addresses are compared as people write them."""
    named = {
        name: value.casefold() if name == "email" and isinstance(value, str) else value
        for name, value in subject.items()
    }
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def jti(stream: str, line: int) -> str:
    """The same for a line however often it is told, so that a receiver knows a repetition."""
    return hashlib.sha256(f"{stream}:{line}".encode()).hexdigest()[:32]
