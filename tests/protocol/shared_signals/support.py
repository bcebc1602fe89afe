"""Events that are pushed as a transmitter does it (RFC 8935)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.test import Client

from idp.models import Connection
from tests.support.upstreams.scripted_transmitter import CAEP, ScriptedTransmitter

SSF = "OpenID Shared Signals Framework 1.0"
PUSH = "RFC 8935"
REVOKED = f"{CAEP}session-revoked"


@dataclass
class Pusher:
    transmitter: ScriptedTransmitter
    connection: Connection

    @property
    def path(self) -> str:
        return f"/ssf/{self.connection.name}/events"

    def push(self, token: str | bytes, *, path: str = "", content_type: str = "", **more: Any) -> HttpResponse:
        kind = content_type or "application/secevent+jwt"
        return Client().post(path or self.path, token, content_type=kind, **more)

    def event(self, uri: str, sub: str = "ann", event: dict[str, Any] | None = None, **changes: Any) -> HttpResponse:
        """An event about the person with this `sub`, signed and pushed."""
        claims = {"sub_id": self.transmitter.subject(sub), **changes}
        return self.push(self.transmitter.token(uri, event, **claims))


def assert_err(response: HttpResponse, err: str, status: int = 400) -> None:
    """RFC 8935 section 2.4."""
    assert response.status_code == status, response.content
    body = response.json()
    assert body["err"] == err, body
    assert body["description"]
    assert response.headers["Content-Language"] == "en"
    assert response.headers["Cache-Control"] == "no-store"
