"""What Okta sends (draft-ietf-oauth-global-token-revocation, as docs/gtr.md describes it), and every way to send it wrongly."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from joserfc.jwk import Key

from idp.connections.contract import Account
from idp.models import Connection, User
from idp.people import identities
from logout_app.gtr.trust import endpoint_of
from logout_app.protocol.gtr import TYP
from sessions_app.models import SSOSession
from tests.support.upstreams.scripted_oidc import ABSENT, sign

DRAFT = "draft-parecki-oauth-global-token-revocation"


def make_federated_user(connection: Connection, sub: str, email: str) -> User:
    account = Account(sub=sub, email=email, email_verified=True, profile={"name": email.split("@")[0].title()})
    return identities.receive(connection, account, at=timezone.now()).user


@dataclass
class Okta:
    """An identity provider with a key; `subject` is what it calls us."""

    issuer: str
    subject: str
    connection: Connection
    key: Key

    @property
    def endpoint(self) -> str:
        return endpoint_of(self.connection)

    @property
    def path(self) -> str:
        return f"/oauth/global-token-revocation/connection/{self.connection.name}"

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "jti": secrets.token_urlsafe(12),
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.endpoint,
            "iat": now,
            "nbf": now - 300,
            "exp": now + 300,
        } | changes
        return {name: value for name, value in claims.items() if value is not ABSENT}

    def token(self, *, key: Key | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A good one with these changes. No `kid`: Okta documents none."""
        return sign(
            json.dumps(self.claims(**changes)).encode(),
            key or self.key,
            **{"typ": TYP, "kid": ABSENT, **(header or {})},
        )

    def subject_of(self, sub: str) -> dict[str, Any]:
        return {"sub_id": {"format": "iss_sub", "iss": self.issuer, "sub": sub}}

    def post(self, body: Any, token: str | None = None, *, path: str = "", **headers: str) -> HttpResponse:
        """`body` as JSON, or as it is if it is text or bytes."""
        raw = body if isinstance(body, str | bytes) else json.dumps(body)
        sent = {"Authorization": f"Bearer {token or self.token()}", **headers}
        return Client().post(path or self.path, raw, content_type="application/json", headers=sent)

    def revoke(self, person: str, **changes: Any) -> HttpResponse:
        return self.post(self.subject_of(person), self.token(**changes))


def lives(*sessions: SSOSession) -> bool:
    return all(SSOSession.objects.get(pk=session.pk).ended_at is None for session in sessions)


def assert_refused(response: HttpResponse, status: int = 401) -> None:
    assert response.status_code == status, response.content
    assert response.json()["error_description"]
    assert response.headers["Cache-Control"] == "no-store"
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="curfew"')
