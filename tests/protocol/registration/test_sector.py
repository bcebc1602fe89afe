"""Higher assurance in dynamic registration: what is registered comes back, and a sector must list every redirect URI."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from django.test import Client

from idp.models import Application
from idp.tenants import configuration

pytestmark = pytest.mark.django_db
OIDC = "OpenID Connect Dynamic Client Registration 1.0"
CALLBACKS = ["https://a.example/cb", "https://b.example/cb"]


class Sectors(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, tuple[int, bytes]]] = {
        "/both": (200, json.dumps([*CALLBACKS, "https://c.example/cb"]).encode()),
        "/one": (200, json.dumps(CALLBACKS[:1]).encode()),
        "/object": (200, b'{"a": 1}'),
        "/numbers": (200, b"[1, 2]"),
        "/text": (200, b"no JSON"),
        "/long": (200, b" " * 200_000),
    }

    def do_GET(self) -> None:
        status, body = self.answers.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def sectors(settings: Any) -> Iterator[str]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    tenant = configuration.load_tenant()
    tenant.dynamic_client_registration = True
    tenant.save()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sectors)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def register(**members: Any) -> Any:
    body = {"redirect_uris": CALLBACKS, "subject_type": "pairwise", **members}
    return Client().post("/oidc/register", json.dumps(body), content_type="application/json")


@pytest.mark.spec(OIDC, "5", "The array at sector_identifier_uri lists every redirect URI")
def test_a_sector_lists_every_redirect_uri(sectors: str) -> None:
    answer = register(sector_identifier_uri=f"{sectors}/both")
    assert answer.status_code == 201, answer.content
    assert answer.json()["subject_type"] == "pairwise"
    assert answer.json()["sector_identifier_uri"] == f"{sectors}/both"
    for path in ("one", "object", "numbers", "text", "long", "gone"):
        refused = register(sector_identifier_uri=f"{sectors}/{path}")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata"), path
        assert "sector_identifier_uri" in refused.json()["error_description"]
    assert Application.objects.count() == 1


def test_a_replacement_is_asked_about_its_sector_too(sectors: str) -> None:
    made = register(sector_identifier_uri=f"{sectors}/both").json()
    changed = {"client_id": made["client_id"], "redirect_uris": ["https://d.example/cb"], "subject_type": "pairwise"}
    answer = Client().put(
        f"/oidc/register/{made['client_id']}",
        json.dumps(changed | {"sector_identifier_uri": f"{sectors}/both"}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {made['registration_access_token']}"},
    )
    assert answer.status_code == 400
    assert Application.objects.get().callbacks == CALLBACKS


def test_what_is_registered_comes_back(sectors: str) -> None:
    asked = {
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "id_token_signed_response_alg": "EdDSA",
        "id_token_encrypted_response_alg": "RSA-OAEP-256",
        "id_token_encrypted_response_enc": "A256GCM",
        "jwks_uri": f"{sectors}/jwks.json",
        "sector_identifier_uri": f"{sectors}/both",
    }
    answer = register(**asked).json()
    assert {name: answer[name] for name in asked} == asked
    row = Application.objects.get()
    assert row.dpop_bound_access_tokens
    assert row.require_pushed_authorization_requests


def test_a_replacement_does_not_take_back_what_must_be_proved(sectors: str) -> None:
    made = register(sector_identifier_uri=f"{sectors}/both").json()
    Application.objects.update(dpop_bound_access_tokens=True, require_pushed_authorization_requests=True)
    answer = Client().put(
        f"/oidc/register/{made['client_id']}",
        json.dumps({"client_id": made["client_id"], "redirect_uris": CALLBACKS}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {made['registration_access_token']}"},
    )
    assert answer.status_code == 200, answer.content
    assert answer.json()["dpop_bound_access_tokens"] is True
    assert Application.objects.get().require_pushed_authorization_requests
