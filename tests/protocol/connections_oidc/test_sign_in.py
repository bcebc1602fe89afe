"""A whole sign-in by a browser against a provider on the network: what people see when it goes wrong, and how soon."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from idp.connections.oidc import discovery, keys
from idp.models import Connection, User
from idp.people import accounts
from sessions_app.models import SSOSession
from tests.protocol.connections_oidc.conftest import connect
from tests.support.sign_in import session_of
from tests.support.upstreams.scripted_oidc import ScriptedProvider

pytestmark = pytest.mark.django_db
WITHIN = 5.5  # seconds: the limit, and what our own page costs


@pytest.fixture
def acme(provider: ScriptedProvider) -> Connection:
    return save(provider, "Acme")


def save(provider: ScriptedProvider, name: str, **options: Any) -> Connection:
    row = connect(provider, **options)
    row.name, row.display_name, row.sealed_options = name, name, {}
    row.save()
    return row


def depart(client: Client, provider: ScriptedProvider, name: str = "Acme") -> dict[str, str]:
    """What the upstream's authorization endpoint is asked; the provider will answer with the nonce of it."""
    response = client.get(f"/login/upstream/{name}")
    assert response.status_code == 303, response.content.decode()
    asked = dict(parse_qsl(urlsplit(response["Location"]).query))
    provider.nonce = asked["nonce"]
    return asked


def come_back(client: Client, asked: dict[str, str], **answer: str) -> HttpResponse:
    return client.get(f"/login/callback?{urlencode({'code': 'c-1', 'state': asked['state'], **answer})}")


def nobody(client: Client) -> bool:
    return not SSOSession.objects.exists() and not User.objects.exists()


def test_somebody_signs_in(acme, provider):
    client = Client()
    response = come_back(client, depart(client, provider))
    assert response.status_code == 302
    session = session_of(client)
    assert session.user.user_id == "oidc|Acme|mary"
    assert session.user.email == "mary@fabrikamcorp.com"
    assert session.upstream["id_token"].startswith("v1.")


@pytest.mark.parametrize(
    "changes", [{"iss": "https://evil.example"}, {"aud": "another"}, {"nonce": "another"}, {"nonce": None}]
)
def test_a_forged_token_is_a_bad_request_with_its_reason_in_the_log(acme, provider, changes, caplog):
    """Nonce wrong or absent, ID token aud wrong."""
    client = Client()
    asked = depart(client, provider)
    provider.claims = changes
    response = come_back(client, asked)
    assert response.status_code == 400
    assert nobody(client)
    assert "The ID token of http://localhost" in caplog.text
    assert "The ID token" not in response.content.decode()


@pytest.mark.spec("RFC 9207", "2.4", "An iss that is not the issuer's, or missing where it is promised, is refused")
def test_the_answer_of_another_provider_is_a_bad_request(acme, provider):
    """What provider B says to a sign-in that began at A never reaches A's token endpoint."""
    with ScriptedProvider() as other:
        save(other, "Other")
        client = Client()
        asked = depart(client, provider)
        assert come_back(client, asked, iss=other.issuer).status_code == 400
        assert provider.forms == other.forms == []
        assert nobody(client)


def test_a_code_of_another_sign_in_is_a_bad_request(acme, provider):
    """A code that somebody slipped in comes with a token for another nonce."""
    client, attacker = Client(), Client()
    asked = depart(client, provider)
    depart(attacker, provider)
    assert come_back(client, asked).status_code == 400
    assert nobody(client)


def test_a_connection_that_was_closed_meanwhile_lets_nobody_in(acme, provider):
    client = Client()
    asked = depart(client, provider)
    accounts.disable_connection(acme, actor="admin", at=timezone.now())
    assert come_back(client, asked).status_code == 400
    assert provider.forms == []
    assert nobody(client)


def test_the_words_of_the_upstream_are_text_on_the_page(acme, provider):
    client = Client()
    asked = depart(client, provider)
    answer = {"error": "access_denied", "error_description": "User is not <b>assigned</b> to this application."}
    page = client.get(f"/login/callback?{urlencode({'state': asked['state'], **answer})}")
    assert page.status_code == 403
    assert "Acme says: User is not &lt;b&gt;assigned" in page.content.decode()
    assert nobody(client)


@pytest.mark.once
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
def test_a_slow_upstream_is_a_page_within_five_seconds(acme, provider, path, caplog):
    client = Client()
    asked = depart(client, provider)
    discovery.forget()
    keys.forget()
    provider.delays[path] = 8
    began = time.monotonic()
    page = come_back(client, asked)
    assert time.monotonic() - began < WITHIN
    assert page.status_code == 504
    assert "did not answer in time" in caplog.text
    assert nobody(client)


def test_an_upstream_that_is_away_is_a_page_before_anybody_leaves(acme, provider, caplog):
    provider.stop()
    page = Client().get("/login/upstream/Acme")
    assert page.status_code == 502
    assert "could not be reached" in caplog.text


@pytest.mark.spec("RFC 9700", "4.4.2", "An upstream without iss in its answers is told apart by a callback of its own")
def test_a_hostile_provider_is_not_given_the_codes_of_another_that_has_its_own_callback(acme, provider):
    """It leads somebody who wanted to sign in with it to the honest one, in the name of our client there."""
    with ScriptedProvider() as hostile:
        save(hostile, "Hostile")
        client = Client()
        asked = depart(client, hostile, "Hostile")
        save_options(acme, own_callback=True)
        honest = f"/login/callback/Acme?{urlencode({'code': 'c-of-acme', 'state': asked['state']})}"
        assert client.get(honest).status_code == 400
        assert hostile.forms == []
        assert nobody(client)


@pytest.mark.parametrize("method", ["get", "post"])
def test_somebody_signs_in_by_a_callback_of_the_connections_own(acme, provider, method):
    save_options(acme, own_callback=True)
    client = Client()
    asked = depart(client, provider)
    assert urlsplit(asked["redirect_uri"]).path == "/login/callback/Acme"
    answer = {"code": "c-1", "state": asked["state"]}
    assert come_back(client, asked).status_code == 400  # not the address that everybody shares
    if method == "get":
        response = client.get("/login/callback/Acme", answer)
    else:
        form = "application/x-www-form-urlencoded"
        response = client.post("/login/callback/Acme", urlencode(answer), content_type=form)
    assert response.status_code == 302, response.content.decode()
    assert session_of(client).user.user_id == "oidc|Acme|mary"
    assert provider.forms[0]["redirect_uri"] == asked["redirect_uri"]


def save_options(connection: Connection, **options: Any) -> None:
    connection.options = {**connection.options, **options}
    connection.save()
