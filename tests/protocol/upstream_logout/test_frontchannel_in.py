"""`GET /frontchannel-logout/{connection}`: we are the relying party of OpenID Connect Front-Channel Logout 1.0."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from idp.connections import health
from idp.models import Connection
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


@pytest.mark.spec(DOCUMENT, "3", "iss is optional: the connection in the URL is registered with one issuer")
@pytest.mark.parametrize("strategy", ["oidc", "waad"])
def test_a_sid_without_iss_ends_the_session_of_the_connection_in_the_url(provider, connection, session, strategy):
    """As Entra sends it; who it is need not be asked for, so that it works while Entra's discovery does not."""
    Connection.objects.create(name="Other", strategy=strategy, options=connection.options)
    Connection.objects.update(strategy=strategy)
    provider.statuses["/.well-known/openid-configuration"] = 500
    assert get("Other", sid="up-1").status_code == 200
    assert is_live(session)
    assert get(sid="up-1", session_state="ignored").status_code == 200
    assert not is_live(session)


@pytest.mark.parametrize(
    ("tenant", "status"), [("9188040d-6c67-4c5b-b112-36a304b66dad", 200), ("x", 400), ("{tenantid}", 400)]
)
def test_an_iss_of_any_tenant_counts_where_the_connection_serves_several(provider, connection, session, tenant, status):
    provider.metadata["issuer"] = f"{provider.issuer}/{{tenantid}}/v2.0"
    Connection.objects.update(strategy="waad", options={**connection.options, "tenantId": "organizations"})
    assert get(iss=f"{provider.issuer}/{tenant}/v2.0", sid="up-1").status_code == status
    assert is_live(session) is (status == 400)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"iss": "issuer"},
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


@pytest.mark.parametrize(
    ("sid", "level", "said"), [("", "warning", "Add optional claim, ID, sid"), ("s-1", "ok", "name the session (sid)")]
)
def test_the_test_of_an_entra_connection_says_whether_its_sign_ins_name_their_session(
    provider, connection, person, sid, level, said
):
    Connection.objects.update(strategy="waad")
    connection.refresh_from_db()
    provider.token_answer = lambda _: (400, {"error": "invalid_grant"})
    found = [finding for finding in health.examine(connection, at=timezone.now()) if "ID tokens name" in finding.text]
    assert not found
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        make_upstream_session(connection, person, sid="" if sid else "old")
    make_upstream_session(connection, person, sid=sid)
    [found] = [finding for finding in health.examine(connection, at=timezone.now()) if "ID tokens name" in finding.text]
    assert (found.level, said in found.text) == (level, True)


def test_an_issuer_that_cannot_be_asked_for_is_no_server_error(provider, session):
    provider.statuses["/.well-known/openid-configuration"] = 500
    assert get(iss=provider.issuer, sid="up-1").status_code == 503
    assert is_live(session)


def test_only_get_is_allowed(session):
    assert Client().post("/frontchannel-logout/Acme").status_code == 405
