"""`GET /frontchannel-logout/{connection}`: we are the relying party of OpenID Connect Front-Channel Logout 1.0."""

from __future__ import annotations

import pytest
from django.test import Client

from logout_app.models import LogoutDelivery
from tests.protocol.upstream_logout.conftest import make_upstream_session

pytestmark = pytest.mark.django_db
DOCUMENT = "OpenID Connect Front-Channel Logout 1.0"


def get(name="Acme", **query):
    return Client().get(f"/frontchannel-logout/{name}", query)


def is_live(session):
    session.refresh_from_db()
    return session.ended_at is None


@pytest.mark.spec(DOCUMENT, "3", "F2 iss and sid end our session that began there")
def test_a_frame_of_the_upstream_ends_the_session_without_a_cookie_of_ours(provider, connection, person, session):
    other = make_upstream_session(connection, person, sid="up-2")

    response = get(iss=provider.issuer, sid="up-1")

    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert "X-Frame-Options" not in response
    assert "frame-ancestors https: http:" in response["Content-Security-Policy"]
    session.refresh_from_db()
    assert (session.end_initiator, session.end_actor) == ("idp-logout", "upstream:Acme")
    assert LogoutDelivery.objects.filter(session=session, state="pending").exists()
    assert is_live(other)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"iss": "issuer"},
        {"sid": "up-1"},
        {"iss": "https://evil.example", "sid": "up-1"},
        {"iss": "issuer", "sid": ""},
        {"iss": "issuer", "sid": "x" * 300},
        {"iss": "issuer", "sid": ["up-1", "up-2"]},
        {"iss": "issuer", "sid": "up-1\0"},
    ],
)
def test_what_does_not_name_one_session_of_the_issuer_ends_nothing(provider, session, query):
    if query.get("iss") == "issuer":
        query = {**query, "iss": provider.issuer}
    assert get(**query).status_code == 400
    assert is_live(session)


def test_nobody_ends_a_session_whose_sid_they_do_not_know(provider, connection, person):
    """A session of an upstream that gives no sid cannot be named by an empty one."""
    nameless = make_upstream_session(connection, person, sid="")
    assert get(iss=provider.issuer, sid="guess").status_code == 200
    assert is_live(nameless)


def test_a_closed_or_unknown_connection_is_not_found(provider, connection, session):
    assert get("Nobody", iss=provider.issuer, sid="up-1").status_code == 404
    connection.enabled = False
    connection.save()
    assert get(iss=provider.issuer, sid="up-1").status_code == 404
    assert is_live(session)


def test_an_issuer_that_cannot_be_asked_for_is_no_server_error(provider, session):
    provider.statuses["/.well-known/openid-configuration"] = 500
    assert get(iss=provider.issuer, sid="up-1").status_code == 503
    assert is_live(session)


def test_only_get_is_allowed(session):
    assert Client().post("/frontchannel-logout/Acme").status_code == 405
