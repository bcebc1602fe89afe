"""Does a connection work: its test, the warnings on the start page and in the list, the daily task, the command."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from joserfc.jwk import RSAKey

from idp import tasks
from idp.connections import health
from idp.crypto import sealing
from idp.models import Connection, ConnectionCheck
from tests.support.factories import browser, make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
SECRET = "hush-hush-secret"
PRIVATE_KEY = rsa.generate_private_key(65537, 2048)
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def certificate(days: int, at: datetime | None = None) -> str:
    """A self-signed certificate that ends then."""
    at = at or timezone.now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(PRIVATE_KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=400))
        .not_valid_after(at + timedelta(days=days, hours=1))
        .sign(PRIVATE_KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def make_saml(days: int, name: str = "partner", **fields: Any) -> Connection:
    options = {
        "signInEndpoint": "https://idp.example.com/sso",
        "idpEntityId": "https://idp.example.com/",
        "signingCert": certificate(days),
    }
    return make_connection(name, "samlp", options=options, **fields)


def run(client: Client, connection: Connection) -> str:
    url = reverse("admin:idp_connection_act", args=(connection.pk, "test"))
    assert "Nobody is signed in or out by it." in client.get(url).content.decode()
    response = client.post(url)
    assert response.status_code == 200
    return response.content.decode()


class Upstream(BaseHTTPRequestHandler):
    """An OpenID provider as far as a test of the connection asks; `slow` makes every answer take this many seconds."""

    slow = 0.0
    seen: list[str]
    jwks = {"keys": [RSAKey.generate_key(2048, parameters={"kid": "1", "alg": "RS256"}, private=False).as_dict()]}

    def do_GET(self) -> None:
        self.seen.append(self.path)
        time.sleep(self.slow)
        host = f"http://localhost:{self.server.server_port}"  # type: ignore[attr-defined]
        documents = {
            "/.well-known/openid-configuration": {
                "issuer": host,
                "authorization_endpoint": f"{host}/authorize",
                "token_endpoint": f"{host}/token",
                "jwks_uri": f"{host}/keys",
                "end_session_endpoint": f"{host}/out",
                "scopes_supported": ["openid", "profile", "email"],
                "id_token_signing_alg_values_supported": ["RS256"],
            },
            "/keys": self.jwks,
        }
        self.answer(200, documents[self.path])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.seen.append(self.path)
        self.answer(400, {"error": "invalid_grant" if "curfew" in body + str(self.headers) else "invalid_client"})

    def answer(self, status: int, document: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def upstream(settings: Any) -> Iterator[tuple[type[Upstream], str]]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]
    handler = type("ThisUpstream", (Upstream,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def make_oidc(home: str) -> Connection:
    connection = make_connection(
        "login-example",
        "oidc",
        options={
            "discovery_url": f"{home}/.well-known/openid-configuration",
            "client_id": "curfew",
            "token_endpoint_auth_method": "client_secret_post",
        },
    )
    connection.sealed_options["client_secret"] = sealing.seal(SECRET, "connection:login-example:client_secret")
    connection.save()
    return connection


# --- the act ---------------------------------------------------------------------------------------------------------------
def test_it_asks_the_provider_and_says_what_works(admin: Client, upstream: tuple[type[Upstream], str]) -> None:
    handler, home = upstream
    page = run(admin, make_oidc(home))
    assert "The discovery document names the issuer" in page
    assert 'class="fine"' in page
    assert 'class="bad"' not in page
    assert handler.seen == ["/.well-known/openid-configuration", "/keys", "/token"]
    assert SECRET not in page
    assert SECRET not in str(ConnectionCheck.objects.values_list("findings", flat=True).get())


def test_looking_asks_nobody(admin: Client, upstream: tuple[type[Upstream], str]) -> None:
    handler, home = upstream
    connection = make_oidc(home)
    admin.get(reverse("admin:idp_connection_act", args=(connection.pk, "test")))
    admin.get(reverse("admin:idp_connection_change", args=(connection.pk,)))
    assert handler.seen == []
    assert not ConnectionCheck.objects.exists()


@pytest.mark.once
def test_a_provider_that_hangs_is_given_up_after_ten_seconds(
    admin: Client, upstream: tuple[type[Upstream], str]
) -> None:
    handler, home = upstream
    handler.slow = 30.0
    began = time.monotonic()
    assert 'class="bad"' in run(admin, make_oidc(home))
    assert time.monotonic() - began < 10.5


def test_a_provider_that_is_away_is_named(admin: Client, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]
    page = run(admin, make_oidc("http://localhost:18997"))
    assert 'class="bad"' in page
    assert "localhost:18997" in page


def test_addresses_inside_are_not_asked(admin: Client, upstream: tuple[type[Upstream], str], settings: Any) -> None:
    """The admin is no way around the outbound guard."""
    handler, home = upstream
    settings.OUTBOUND_ALLOW = []
    assert 'class="bad"' in run(admin, make_oidc(home))
    assert handler.seen == []


def test_an_unconfigured_connection_names_what_is_missing_and_asks_nobody(admin: Client) -> None:
    page = run(admin, make_connection("acme", "okta"))
    assert "Nobody can sign in: the option client_id: is missing" in page


def test_a_secret_whose_key_is_gone_is_said_in_words(admin: Client, upstream: tuple[type[Upstream], str]) -> None:
    connection = make_oidc(upstream[1])
    connection.sealed_options["client_secret"] = "v1.00000000.AAAA"
    connection.save()
    page = run(admin, connection)
    assert 'class="bad"' in page
    assert "v1.00000000" not in page


def test_a_database_has_nobody_to_ask(admin: Client) -> None:
    connection = make_connection()
    page = admin.get(reverse("admin:idp_connection_change", args=(connection.pk,))).content.decode()
    assert "Test connection" not in page
    admin.post(reverse("admin:idp_connection_act", args=(connection.pk, "test")))
    assert not ConnectionCheck.objects.exists()


def test_who_may_only_look_cannot_test(upstream: tuple[type[Upstream], str]) -> None:
    clerk = make_user("clerk@fabrikamcorp.com", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_connection"))
    connection = make_oidc(upstream[1])
    url = reverse("admin:idp_connection_act", args=(connection.pk, "test"))
    assert browser(make_session(clerk)).post(url).status_code == 403
    assert upstream[0].seen == []


# --- why nobody can sign in --------------------------------------------------------------------------------------------------
def test_the_page_says_why_nobody_can_sign_in(admin: Client) -> None:
    connection = make_saml(400, enabled_for_all=False)
    page = admin.get(reverse("admin:idp_connection_change", args=(connection.pk,))).content.decode()
    assert "Nobody can sign in: no application that is enabled may use it." in page
    assert "Nobody can sign in: no application that is enabled may use it." in run(admin, connection)


def test_that_a_connection_is_closed_is_no_fault_of_it_and_not_remembered(admin: Client) -> None:
    """It is tested before it is opened, and then it is not closed any more."""
    connection = make_saml(400, enabled=False)
    page = admin.get(reverse("admin:idp_connection_change", args=(connection.pk,))).content.decode()
    assert "It is closed: nobody signs in through it." in page
    assert "It is closed: nobody signs in through it until it is enabled." in run(admin, connection)
    assert all("closed" not in finding.text for finding in health.last_findings(connection)[1])


def test_a_disabled_application_lets_nobody_in(admin: Client) -> None:
    connection = make_saml(400, enabled_for_all=False)
    application = make_application(enabled=False)
    connection.enabled_clients.add(application)
    assert [finding.level for finding in health.obstacles(connection)] == ["error"]
    application.enabled = True
    application.save()
    assert health.obstacles(connection) == []


# --- expiry ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("days", "mark", "attention"),
    [(400, "✓ works", ""), (20, "! needs attention", "expires on"), (-1, "✕ fails", "expired on")],
)
def test_a_certificate_that_ends_is_seen_in_the_list_and_on_the_start_page(
    admin: Client, days: int, mark: str, attention: str
) -> None:
    connection = make_saml(days)
    connection.options["signOutEndpoint"] = "https://idp.example.com/slo"
    connection.save()
    health.examine(connection, at=timezone.now())
    assert mark in admin.get(reverse("admin:idp_connection_changelist")).content.decode()
    start = admin.get(reverse("admin:index")).content.decode()
    assert (f"partner: The signing certificate CN=idp.example.com {attention}" in start) is bool(attention)
    page = admin.get(reverse("admin:idp_connection_change", args=(connection.pk,))).content.decode()
    assert ("The signing certificate CN=idp.example.com" in page) is bool(attention)


def test_what_is_no_haste_stays_off_the_start_page(admin: Client) -> None:
    connection = make_saml(400)
    connection.options["idpEntityId"] = ""
    connection.save()
    findings = health.examine(connection, at=timezone.now())
    assert "warning" in {finding.level for finding in findings}
    assert "partner:" not in admin.get(reverse("admin:index")).content.decode()


def test_a_disabled_connection_is_nobodys_worry(admin: Client) -> None:
    health.examine(make_saml(-1, enabled=False), at=timezone.now())
    assert "expired on" not in admin.get(reverse("admin:index")).content.decode()


def test_who_may_not_see_connections_is_not_told_of_them(db: None) -> None:
    health.examine(make_saml(-1), at=timezone.now())
    clerk = make_user("clerk@fabrikamcorp.com", is_staff=True)
    for codename in ("view_ssosession", "view_logoutevent", "view_logoutdelivery"):
        clerk.user_permissions.add(Permission.objects.get(codename=codename))
    start = browser(make_session(clerk)).get(reverse("admin:index")).content.decode()
    assert "What needs attention" in start
    assert "expired on" not in start


@pytest.mark.parametrize(("days", "level"), [(400, None), (20, "warning"), (-1, "error")])
def test_the_certificate_of_a_directorys_authority_is_watched(days: int, level: str | None) -> None:
    connection = make_connection(
        "people", "ad", options={"servers": [], "base_dn": "", "ca_certificate": certificate(days, NOW)}
    )
    found = [finding for finding in health.examine(connection, at=NOW) if "ca_certificate" in finding.text]
    assert [finding.level for finding in found] == ([level] if level else [])


def test_saving_other_options_forgets_what_the_test_of_the_old_ones_found(admin: Client) -> None:
    connection = make_saml(-1)
    health.examine(connection, at=timezone.now())
    url = reverse("admin:idp_connection_change", args=(connection.pk,))
    data = {"enabled_for_all": "on", "signInEndpoint": "https://idp.example.com/other", "signingCert": certificate(400)}
    assert admin.post(url, data).status_code == 302
    assert not ConnectionCheck.objects.exists()


# --- the task and the command --------------------------------------------------------------------------------------------------
def test_every_connection_is_tested_once_a_day() -> None:
    connection, _ = make_saml(400), make_connection()
    assert health.examine_due(at=NOW) == [connection]
    assert health.examine_due(at=NOW + timedelta(hours=23)) == []
    assert health.examine_due(at=NOW + timedelta(hours=25)) == [connection]
    Connection.objects.update(enabled=False)
    assert health.examine_due(at=NOW + timedelta(hours=50)) == []


def test_the_task_leaves_a_line_for_the_administrator(caplog: pytest.LogCaptureFixture) -> None:
    make_saml(-1)
    tasks.test_connections()
    assert "expired on" in caplog.text
    assert "partner" in caplog.text


def test_the_command_ends_with_a_failure_if_one_fails(capsys: pytest.CaptureFixture[str]) -> None:
    make_saml(400)
    call_command("check_connections")
    assert "partner: ok: The signing certificate" in capsys.readouterr().out
    make_saml(-1, "expired")
    with pytest.raises(CommandError, match=r"Not working: expired\."):
        call_command("check_connections")
    call_command("check_connections", "partner")


def test_the_command_names_a_connection_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="There is no connection nowhere"):
        call_command("check_connections", "nowhere")
