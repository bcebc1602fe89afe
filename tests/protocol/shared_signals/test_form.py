"""The option in the admin's form, and the act for whoever may not change what is trusted."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from idp.connections import shared_signals
from idp.connections.options import secret, secret_context
from idp.crypto.sealing import seal
from idp.models import Identity
from tests.protocol.admin.test_connections import change_url, errors_of, shown
from tests.support.factories import browser, make_connection, make_session, make_user

pytestmark = [pytest.mark.once, pytest.mark.django_db]
OPTIONS = {"domain": "fabrikam.okta.com", "client_id": "0oa1"}


@pytest.fixture
def connection():
    return make_connection("acme-okta", "okta", options=OPTIONS)


@pytest.fixture
def admin():
    return browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))


def fields(**changes):
    return {f"shared_signals__{name}": value for name, value in changes.items()}


def test_the_form_makes_the_option_and_seals_the_token(admin, connection):
    typed = fields(
        issuer="https://fabrikam.okta.com",
        method="poll",
        audience="https://a.example\nb",
        events='{"session-revoked": "note"}',
    )
    data = {**shown(admin, change_url(connection)), **typed, "shared_signals_token": "a-token"}
    response = admin.post(change_url(connection), data)
    assert response.status_code == 302, errors_of(response)
    connection.refresh_from_db()
    assert connection.options["shared_signals"] == {
        "issuer": "https://fabrikam.okta.com",
        "method": "poll",
        "audience": ["https://a.example", "b"],
        "events": {"session-revoked": "note"},
    }
    assert secret(connection, "shared_signals_token") == "a-token"
    assert shared_signals.of(connection).audiences == ("https://a.example", "b")
    page = admin.get(change_url(connection)).content.decode()
    assert "/ssf/acme-okta/events" in page
    assert "No event came yet" in page
    assert "Connect signals" in page
    assert "a-token" not in page
    before = dict(connection.options)
    admin.post(change_url(connection), shown(admin, change_url(connection)))
    connection.refresh_from_db()
    assert connection.options == before


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        (fields(jwks_uri="https://a.example/jwks"), "shared_signals__issuer"),
        (fields(issuer="nowhere"), "shared_signals__issuer"),
        (fields(issuer="https://a.example", events='{"session-revokt": "note"}'), "shared_signals__events"),
    ],
)
def test_what_makes_no_sense_is_said_at_its_field(admin, connection, typed, field):
    data = {**shown(admin, change_url(connection)), **typed}
    assert field in errors_of(admin.post(change_url(connection), data))


def test_a_connection_without_the_option_says_that_signals_are_off(admin, connection):
    page = admin.get(change_url(connection)).content.decode()
    _, _, panel = page.partition("<h2>Shared Signals</h2>")
    assert "Off. Give the issuer of security events" in panel
    assert "<dt>Transmitter</dt>" not in page


def test_who_may_not_change_what_a_connection_trusts_may_not_connect_it(connection, admin):
    boss = Identity.objects.get(login="boss@fabrikamcorp.com").user
    boss.identities.create(connection=connection, sub="boss")
    connection.options["shared_signals"] = {"issuer": "https://fabrikam.okta.com"}
    connection.sealed_options["shared_signals_token"] = "sealed"
    connection.save()
    clerk = make_user("clerk@fabrikamcorp.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_connection", "change_connection"]))
    url = reverse("admin:idp_connection_act", args=(connection.pk, "connect-signals"))
    assert browser(make_session(clerk)).post(url).status_code == 403
    assert "Connect signals" in admin.get(url).content.decode()


def test_another_issuer_asks_for_the_token_again_beside_its_field(admin, connection):
    connection.options["shared_signals"] = {"issuer": "https://fabrikam.okta.com"}
    connection.sealed_options = {
        "shared_signals_token": seal("kept", secret_context(connection.name, "shared_signals_token"))
    }
    connection.save()
    data = {**shown(admin, change_url(connection)), **fields(issuer="https://evil.example")}
    errors = errors_of(admin.post(change_url(connection), data))
    assert set(errors) == {"shared_signals_token"}
    data = {**shown(admin, change_url(connection)), **fields(events='{"session-revoked": "note"}')}
    assert admin.post(change_url(connection), data).status_code == 302
