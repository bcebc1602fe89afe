"""Sign-out by WS-Federation: out to ADFS, and its clean-up in."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from idp.connections import strategies
from idp.models import Connection
from logout_app.models import LogoutDelivery
from tests.protocol.upstream_logout.conftest import make_person, make_upstream_session
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
OUT = "https://app.example/out"
ADFS = "https://adfs.example/adfs/ls/"
PAGE_VISIT = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-site"}


@pytest.fixture
def connection(db):
    return Connection.objects.create(
        name="Acme",
        strategy="adfs",
        options={"client_id": "curfew", "adfs_server": "adfs.example", "logout": {"hint": "wsfed"}},
    )


@pytest.fixture
def session(connection):
    app = make_application(backchannel_logout_uri="https://jwt-debugger.example/backchannel")
    return make_upstream_session(connection, make_person(connection), app)


def clean_up(client, name="Acme", **query):
    return client.get(f"/wsfed/{name}", {"wa": "wsignoutcleanup1.0", **query})


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_other_methods_are_not_allowed_and_end_nothing(session, method):
    strict = browser(session, enforce_csrf_checks=True)
    answer = getattr(strict, method)("/wsfed/Acme?wa=wsignoutcleanup1.0")
    assert (answer.status_code, answer["Allow"]) == (405, "GET")
    assert is_live(session)


def is_live(session):
    session.refresh_from_db()
    return session.ended_at is None


def test_federated_leads_to_adfs_which_sends_the_browser_back(connection):
    app = make_application("Quiet", client_id="quiet", post_logout_redirect_uris=OUT)
    client = browser(make_upstream_session(connection, make_person(connection), app))
    query = {"client_id": "quiet", "returnTo": OUT, "federated": ""}
    parts = urlsplit(client.get("/v2/logout", query, headers=PAGE_VISIT)["Location"])

    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == ADFS
    sent = parse_qs(parts.query)
    assert sent.pop("wa") == ["wsignout1.0"]
    back = urlsplit(sent.pop("wreply")[0])
    assert (back.path, sent) == ("/logout/callback", {})
    assert client.get(f"{back.path}?{back.query}")["Location"] == OUT


def test_a_clean_up_ends_the_session_of_the_browser_that_brings_it(session):
    client = browser(session)
    response = clean_up(client)

    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert "X-Frame-Options" not in response
    session.refresh_from_db()
    assert (session.end_initiator, session.end_actor) == ("idp-logout", "upstream:Acme")
    assert LogoutDelivery.objects.filter(session=session, state="pending").exists()
    assert clean_up(client).status_code == 200


def test_it_goes_back_to_the_server_that_asks_and_nowhere_else(session):
    client = browser(session)
    for elsewhere in (
        "https://evil.example/adfs/ls/",
        "http://adfs.example/adfs/ls/",
        "//evil.example",
        "javascript:1",
    ):
        assert clean_up(client, wreply=elsewhere).status_code == 400
    assert is_live(session)
    assert clean_up(client, wreply=f"{ADFS}?next=1")["Location"] == f"{ADFS}?next=1"
    assert not is_live(session)


def test_it_ends_nobody_who_came_from_elsewhere(session):
    other = make_session(make_user())
    assert clean_up(browser(other)).status_code == 200
    assert clean_up(Client()).status_code == 200
    assert is_live(other)
    assert is_live(session)


@pytest.mark.parametrize("query", ["", "wa=wsignin1.0", "wa=wsignout1.0", "wa=wsignoutcleanup1.0&wa=x", "wa=%00"])
def test_another_message_is_refused(session, query):
    assert browser(session).get(f"/wsfed/Acme?{query}").status_code == 400
    assert is_live(session)


@pytest.mark.parametrize("change", [{"enabled": False}, {"options": {"client_id": "curfew"}}, {"strategy": "ad"}])
def test_only_where_it_was_chosen(connection, session, change):
    client = browser(session)
    Connection.objects.filter(pk=connection.pk).update(**change)
    assert clean_up(client).status_code == 404
    assert clean_up(client, name="Nobody").status_code == 404
    assert is_live(session)


def test_only_get(session):
    assert browser(session).post("/wsfed/Acme", {"wa": "wsignoutcleanup1.0"}).status_code == 405


def test_the_option_is_checked():
    given = {"client_id": "c", "adfs_server": "adfs.example"}
    assert strategies.problems("adfs", {**given, "logout": {"hint": "wsfed"}}) == []
    nowhere = {"client_id": "c", "discovery_url": "https://a.example/.well-known/openid-configuration"}
    found = strategies.problems("adfs", {**nowhere, "logout": {"hint": "wsfed"}})
    assert any(problem.startswith("logout.url: is missing") for problem in found)
    okta = {"client_id": "c", "domain": "acme.okta.com", "logout": {"hint": "wsfed"}}
    assert any(problem.startswith("logout.hint: must be one of") for problem in strategies.problems("okta", okta))


@pytest.mark.parametrize("wreply", ["https://[", "https://adfs.example:port/adfs/ls/", "//[::"])
def test_a_clean_up_to_what_is_no_address_is_refused(connection, wreply):
    assert clean_up(Client(), wreply=wreply).status_code == 400
