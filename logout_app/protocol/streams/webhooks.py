"""A webhook's request: lines of the audit trail as JSON, signed with a secret that only we and the receiver know.

The signature covers the moment, so that a request which somebody recorded is worth nothing after a few minutes. `t=`
and `v1=` in one header are the shape that receivers know from Stripe.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

SIGNATURE = "Curfew-Signature"
FORMATS: Mapping[str, str] = {
    "object": "application/json",
    "array": "application/json",
    "lines": "application/x-ndjson",
}


class TrailLine(Protocol):
    """A line of the audit trail, as it is told."""

    pk: int
    at: datetime
    type: str
    sid: str
    sub: str
    client_id: str
    connection: str
    initiator: str
    actor: str
    ip: str | None
    user_agent: str
    data: Mapping[str, Any]


COLUMNS = ("sid", "sub", "client_id", "connection", "initiator", "actor", "ip", "user_agent")


def document(line: TrailLine, name: str) -> dict[str, Any]:
    """`id` is the same however often it is told, and `position` grows; what is not known is left out."""
    known = {column: value for column in COLUMNS if (value := getattr(line, column))}
    at = line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"id": name, "position": line.pk, "type": line.type, "at": at, **known, "data": dict(line.data)}


def body(line: Mapping[str, Any], body_format: str) -> bytes:
    text = json.dumps([line] if body_format == "array" else line, separators=(",", ":"))
    return (f"{text}\n" if body_format == "lines" else text).encode()


def signature(secret: str, content: bytes, at: datetime) -> str:
    """HMAC with SHA-256 over the seconds, a dot, and the body."""
    moment = int(at.timestamp())
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + content, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"
