"""A connection's page: what it was asked lately, and whether a request would arrive and be believed."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from idp.models import Connection
from logout_app.gtr import check
from logout_app.models import LogoutEvent
from tests.support.factories import browser, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))


def page_of(admin, connection):
    return admin.get(reverse("admin:idp_connection_change", args=(connection.pk,))).content.decode()


def test_the_page_shows_the_last_requests_with_their_outcome(admin, okta, session):
    okta.revoke("00uann")
    okta.revoke("00unobody")
    okta.revoke("00uann", aud="https://elsewhere.example/")
    page = page_of(admin, okta.connection)
    assert "okta|acme-okta|00uann: 1 session ended." in page
    assert "Refused with 404 (about iss_sub:" in page
    assert "aud is not the URL of this endpoint" in page
    event = LogoutEvent.objects.get()
    assert reverse("admin:logout_app_logoutevent_change", args=(event.pk,)) in page


def test_a_subject_that_is_markup_is_shown_as_text(admin, okta, ann):
    okta.revoke("<script>alert(1)</script>")
    page = page_of(admin, okta.connection)
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;" in page


def levels(findings):
    return [finding.level for finding in findings]


@pytest.mark.django_db(transaction=True)
def test_the_test_request_arrives_and_says_what_a_token_must_say(live_server, settings, admin, okta, ann):
    settings.ISSUER_ORIGIN = live_server.url
    url = reverse("admin:idp_connection_act", args=(okta.connection.pk, "test-revocation"))
    assert "Nothing is signed" in admin.get(url).content.decode()
    page = admin.post(url).content.decode()
    assert f"A request to {okta.endpoint} arrives" in page
    assert f"iss {okta.issuer}, sub {okta.subject} and aud {okta.endpoint}" in page
    assert "RS256" in page
    assert '<span class="bad">' not in page
    assert '<span class="warn">' not in page


def test_nobody_at_the_address_is_a_warning_and_no_key_an_error(provider, okta, settings):
    settings.ISSUER_ORIGIN = "http://localhost:9"
    provider.statuses["/jwks"] = 500
    findings = check.check(okta.connection, timezone.now())
    assert levels(findings) == ["warning", "ok", "error"]


def test_something_else_at_the_address_is_an_error(provider, okta, settings):
    settings.ISSUER_ORIGIN = provider.issuer
    assert check.check(okta.connection, timezone.now())[0].level == "error"


def test_a_saml_connection_without_its_two_options_is_believed_nothing(settings):
    settings.ISSUER_ORIGIN = "http://localhost:9"
    connection = make_connection("acme-saml", "samlp", options={"signInEndpoint": "https://acme.example/sso"})
    assert levels(check.check(connection, timezone.now())) == ["warning", "error"]


def test_connections_that_take_no_requests_are_not_offered_the_test(admin, okta):
    database = Connection.objects.get(name="FabrikamAD")
    assert "Send a test request" not in page_of(admin, database)
    assert "Send a test request" in page_of(admin, okta.connection)
