"""A secret that is kept here goes to the place that it was typed for, and to no other: form, test, sign-in, tenant file."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp import models
from idp.connections import health, trust
from idp.connections.options import KEYS, NEVER_SENT, SECRETS, destinations, secret_context
from idp.connections.trust import ConnectionChange
from idp.crypto import sealing
from idp.models import Connection
from tests.protocol.admin.test_connections import FULL, change_url, errors_of, shown
from tests.support.factories import make_connection
from tests.support.upstreams.scripted_oidc import CLIENT, SECRET, ScriptedProvider
from tests.support.upstreams.scripted_saml import Key, make_key

pytestmark = pytest.mark.django_db
ELSEWHERE = "https://evil.example/.well-known/openid-configuration"
BY_URLS = {"discovery_url", "issuer", "token_endpoint"}

# Strategy, secret -> where it goes. None: it never leaves. Who adds a strategy with a secret writes its line here.
TABLE: dict[tuple[str, str], set[str] | None] = {
    ("oidc", "client_secret"): BY_URLS,
    ("okta", "client_secret"): {*BY_URLS, "domain"},
    ("google-oauth2", "client_secret"): BY_URLS,
    ("waad", "client_secret"): {*BY_URLS, "tenantId", "tenant_domain"},
    ("adfs", "client_secret"): {*BY_URLS, "adfs_server", "protocol"},
    ("samlp", "decryptionKey"): None,  # opens what comes in
    ("ad", "bind_password"): {"servers", "start_tls", "ca_certificate"},
}
REDIRECTING = ("oidc", "okta", "google-oauth2", "waad", "adfs", "samlp")
TABLE |= {(strategy, "shared_signals_token"): {"shared_signals"} for strategy in REDIRECTING}
TABLE |= {(strategy, "shared_signals_secret"): {"shared_signals"} for strategy in REDIRECTING}
BEFORE: dict[str, dict[str, Any]] = {
    "oidc": FULL["oidc"],
    "okta": {"domain": "acme.okta.com", "client_id": "0oa1"},
    "google-oauth2": {"client_id": "c"},
    "waad": FULL["waad"],
    "adfs": {"adfs_server": "adfs.example.com", "client_id": "c"},
    "ad": FULL["ad"],
}
KEY = make_key("evil.example")
AFTER: dict[str, Any] = {
    "discovery_url": ELSEWHERE,
    "issuer": "https://evil.example/",
    "token_endpoint": "https://evil.example/token",
    "domain": "evil.okta.com",
    "tenantId": "99999999-2222-3333-4444-555555555555",
    "tenant_domain": "evil.onmicrosoft.com",
    "adfs_server": "adfs.evil.example",
    "servers": "ldaps://dc1.fabrikamcorp.com\nldaps://evil.example",
    "start_tls": "on",
    "ca_certificate": KEY.certificate,
}
# `protocol` apart: the form for SAML asks for other things too. So is `shared_signals`, of which the issuer counts only: the
# walk of its token is in tests/protocol/shared_signals/test_form.py.
APART = {"protocol", "shared_signals"}
WALKS = [(s, secret, o) for (s, secret), options in TABLE.items() for o in sorted((options or set()) - APART)]


def sealed(name: str, option: str, value: str = SECRET) -> dict[str, str]:
    return {option: sealing.seal(value, secret_context(name, option))}


def test_every_secret_of_every_strategy_has_its_line_in_the_table() -> None:
    held = {(strategy, secret) for strategy, known in KEYS.items() for secret in known & SECRETS}
    assert held == set(TABLE)
    for (strategy, secret), expected in TABLE.items():
        assert destinations(strategy, secret) == (expected or set()), strategy
        assert (expected is None) is (secret in NEVER_SENT)


def test_an_option_that_nobody_thought_of_counts_as_a_destination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KEYS, "okta", KEYS["okta"] | {"a_new_address"})
    assert "a_new_address" in destinations("okta", "client_secret")


def test_no_other_table_keeps_a_secret_that_could_be_sent() -> None:
    """Sealed columns: who adds one says here where its secret goes, and what must be typed again when that changes."""
    columns = {
        f"{model.__name__}.{field.name}"
        for name in models.__all__
        if hasattr(model := getattr(models, name), "_meta")
        for field in model._meta.get_fields()
        if field.name.startswith("sealed_")
    }
    assert columns == {
        "Connection.sealed_options",  # the table above
        "SigningKey.sealed_private_key",  # signs, is never sent
        "SamlKey.sealed_private_key",  # the same
    }


@pytest.mark.parametrize(("strategy", "secret", "option"), WALKS)
def test_a_new_destination_asks_for_the_secret_beside_its_field(
    admin: Client, strategy: str, secret: str, option: str
) -> None:
    connection = make_connection("Acme", strategy, options=BEFORE[strategy], sealed_options=sealed("Acme", secret))
    data = shown(admin, change_url(connection)) | {option: AFTER[option]}
    errors = errors_of(admin.post(change_url(connection), data))
    assert set(errors) == {secret}
    assert f"{option} changed: a secret that is kept here is never sent to a new place" in str(errors[secret])
    connection.refresh_from_db()
    assert connection.options == BEFORE[strategy]
    for instead in ({secret: "another"}, {f"clear_{secret}": "on"}):
        assert admin.post(change_url(connection), {**data, **instead}).status_code == 302
        Connection.objects.filter(pk=connection.pk).update(
            options=BEFORE[strategy], sealed_options=sealed("Acme", secret)
        )


def test_another_protocol_of_adfs_is_a_new_destination_too() -> None:
    options = BEFORE["adfs"]
    stored = Connection(name="Acme", strategy="adfs", options=options, sealed_options=sealed("Acme", "client_secret"))
    assert set(trust.untyped(ConnectionChange(stored, {**options, "protocol": "samlp"}))) == {"client_secret"}
    assert (
        trust.untyped(ConnectionChange(stored, {**options, "protocol": "oidc"})) == {}
    )  # what it is without being said


@pytest.mark.parametrize("strategy", BEFORE)
def test_what_leads_nowhere_new_asks_for_no_secret(admin: Client, strategy: str) -> None:
    secret = next(secret for held, secret in TABLE if held == strategy)
    connection = make_connection("Acme", strategy, options=BEFORE[strategy], sealed_options=sealed("Acme", secret))
    change = {"domain_aliases": "acme.example", "scope": "openid email", "user_filter": "(uid={login})"}
    if strategy == "ad":
        change["servers"] = "ldaps://dc2.fabrikamcorp.com"  # one less
    response = admin.post(change_url(connection), shown(admin, change_url(connection)) | change)
    assert response.status_code == 302, errors_of(response)
    connection.refresh_from_db()
    assert set(connection.sealed_options) == {secret}


# --- OpenID Connect, as the attacker does it ---------------------------------------------------------------------------------
@pytest.fixture
def acme(loopback_upstreams: None, provider: ScriptedProvider) -> Connection:
    options = {"discovery_url": provider.discovery_url, "client_id": CLIENT}
    return make_connection("Acme", "oidc", options=options, sealed_options=sealed("Acme", "client_secret"))


@pytest.fixture
def thief(loopback_upstreams: None) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as scripted:
        yield scripted


def received(thief: ScriptedProvider) -> str:
    return f"{thief.forms}{thief.headers}"


@pytest.mark.parametrize("field", ["token_endpoint", "discovery_url", "issuer"])
def test_test_connection_delivers_no_kept_client_secret_to_a_new_address(
    clerk: Client, acme: Connection, thief: ScriptedProvider, field: str
) -> None:
    """The attack that Keycloak had as CVE-2024-5967."""
    place = {"token_endpoint": f"{thief.issuer}/token", "discovery_url": thief.discovery_url, "issuer": thief.issuer}
    data = shown(clerk, change_url(acme)) | {"token_endpoint_auth_method": "client_secret_post", field: place[field]}
    assert "client_secret" in errors_of(clerk.post(change_url(acme), data))
    assert clerk.post(reverse("admin:idp_connection_act", args=(acme.pk, "test"))).status_code == 200
    assert thief.hits.total() == 0
    if field == "issuer":
        return
    typed = {**data, "client_secret": "typed-for-the-new-place"}  # the positive control: what is typed does arrive
    assert clerk.post(change_url(acme), typed).status_code == 302
    health.examine(Connection.objects.get(pk=acme.pk), at=timezone.now())
    assert "typed-for-the-new-place" in received(thief)
    assert SECRET not in received(thief)


def test_a_sign_in_delivers_no_kept_client_secret_to_a_new_address(
    clerk: Client, acme: Connection, provider: ScriptedProvider, thief: ScriptedProvider
) -> None:
    data = shown(clerk, change_url(acme)) | {"token_endpoint": f"{thief.issuer}/token"}
    clerk.post(change_url(acme), data)
    visitor = Client()
    departed = visitor.get(reverse("login_upstream", args=("Acme",)), {"next": "/"})
    state = re.search(r"[?&]state=([^&]+)", departed["Location"])
    assert state is not None
    provider.nonce = re.search(r"[?&]nonce=([^&]+)", departed["Location"])[1]  # type: ignore[index]
    visitor.get(reverse("login_callback"), {"state": state[1], "code": "c"})
    assert thief.hits.total() == 0
    assert len(provider.forms) == 1


# --- a directory --------------------------------------------------------------------------------------------------------------
@contextmanager
def listening(key: Key, folder: Path) -> Iterator[tuple[int, list[bytes]]]:
    """A server that takes TLS and writes down every byte: what a thief's directory would get."""
    pem = folder / "thief.pem"
    pem.write_text(key.private + key.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_take, args=(server, context, heard), daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _take(server: socket.socket, context: ssl.SSLContext, heard: list[bytes]) -> None:
    with suppress(OSError):
        while True:
            connected, _ = server.accept()
            connected.settimeout(10)
            with suppress(OSError), context.wrap_socket(connected, server_side=True) as tls:
                while data := tls.recv(4096):
                    heard.append(data)
                    break


def test_test_connection_delivers_no_kept_bind_password_to_a_new_server(
    admin: Client, tmp_path: Path, settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]
    key = make_key("localhost")
    options = {
        "servers": ["ldaps://dc1.fabrikamcorp.invalid"],
        "base_dn": "DC=a,DC=b",
        "bind_dn": "CN=curfew,DC=a,DC=b",
    }
    connection = make_connection("Acme", "ad", options=options, sealed_options=sealed("Acme", "bind_password"))
    test = reverse("admin:idp_connection_act", args=(connection.pk, "test"))
    with listening(key, tmp_path) as (port, heard):
        data = shown(admin, change_url(connection))
        data |= {"servers": f"ldaps://localhost:{port}", "ca_certificate": key.certificate}
        errors = errors_of(admin.post(change_url(connection), data))
        assert "ca_certificate and servers changed" in str(errors["bind_password"])
        assert admin.post(test).status_code == 200
        assert heard == []
        assert admin.post(change_url(connection), {**data, "bind_password": "typed-for-it"}).status_code == 302
        assert admin.post(test).status_code == 200
    assert b"typed-for-it" in b"".join(heard)
    assert SECRET.encode() not in b"".join(heard)
