"""An upstream that does not answer is said on our page, before the browser is sent to somebody who is not there."""

from __future__ import annotations

import pytest
import requests
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.connections import health, silence
from idp.models import Connection
from idp.outbound import web
from idp.tenants import configuration
from tests.support.factories import make_connection, make_user
from tests.support.upstreams.scripted_oidc import CLIENT, ScriptedProvider

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("loopback_upstreams")]


@pytest.fixture
def acme(provider: ScriptedProvider) -> Connection:
    options = {"discovery_url": provider.discovery_url, "client_id": CLIENT}
    return make_connection("Acme", "oidc", options=options)


def watch() -> list[str]:
    return [connection.name for connection in silence.watch(at=timezone.now())]


def start(client: Client, **query: str):
    return client.get("/login/upstream/Acme", {"next": "/account/", **query})


def test_the_login_page_names_who_does_not_answer_and_still_offers_the_others(acme, provider):
    make_user()  # there is a password connection too
    client = Client()
    assert "Does not answer" not in client.get("/login").content.decode()
    provider.stop()
    assert watch() == ["Acme"]
    page = client.get("/login").content.decode()
    assert "Continue with Acme" in page
    assert "Does not answer" in page
    assert 'type="password"' in page


def test_nobody_is_sent_to_who_does_not_answer_unless_they_want_to(acme, provider):
    make_user()
    client = Client()
    assert start(client).status_code == 303  # its document is known from here on
    provider.stop()
    watch()
    page = start(client, login_hint="ann@acme.example")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    text = page.content.decode()
    assert "Acme does not answer at the moment." in text
    assert "Use another way to sign in" in text
    anyway = start(client, anyway="1")
    assert anyway.status_code == 303
    assert anyway.headers["Location"].startswith(f"{provider.issuer}/authorize")


def test_the_only_way_there_is_does_not_lead_to_nowhere_by_itself(acme, provider):
    client = Client()
    assert client.get("/login").status_code == 303
    provider.stop()
    watch()
    page = client.get("/login")
    assert page.status_code == 503
    assert "Try it anyway" in page.content.decode()


def test_who_answers_again_is_used_again(acme, provider):
    provider.statuses["/.well-known/openid-configuration"] = 503  # a proxy whose server is away
    assert watch() == ["Acme"]
    assert watch() == []
    assert Connection.objects.get().silent_since is not None
    provider.statuses.clear()
    assert watch() == ["Acme"]
    assert Connection.objects.get().silent_since is None
    assert start(Client()).status_code == 303


def test_a_sign_in_that_gets_no_answer_tells_the_next_page(acme, provider):
    """Nobody waits for the worker's next look."""
    provider.stop()
    assert start(Client()).status_code == 502
    assert Connection.objects.get().silent_since is not None
    assert start(Client()).status_code == 503


def test_an_upstream_that_answers_nonsense_is_not_called_silent(acme, provider):
    provider.statuses["/.well-known/openid-configuration"] = 500
    assert start(Client()).status_code == 502
    assert watch() == []
    assert not web.is_silence(requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"))


def test_what_does_not_change_changes_no_configuration_and_costs_no_statement(acme, provider):
    provider.stop()
    watch()
    version = configuration.current().version
    client = Client()
    client.get("/login")
    watch()
    assert configuration.current().version == version
    with CaptureQueriesContext(database) as queries:
        client.get("/login")
    assert not [query for query in queries if "silent_since" in query["sql"] and "UPDATE" in query["sql"]]


def test_administrators_see_since_when_it_does_not_answer(acme, provider):
    provider.stop()
    watch()
    texts = [finding.text for _, finding in health.complaints()]
    assert any(text.startswith("It does not answer since") for text in texts)
