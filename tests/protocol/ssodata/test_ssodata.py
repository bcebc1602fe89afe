"""GET /user/ssodata: the seed's shape, and who may read it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.support.factories import browser, make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
ORIGIN = "https://app.example.com"
SEED = {
    "sso": True,
    "sessionClients": [
        "ATqGIGvsX5d9AWiOypgPOEBGkOVbrf55",
        "ZDC7qh6mcXaQT6ilyiTWPmmfFI7L0aTs",
        "bOFty3tWgpijnwMcltysNFqHgO1ziz1I",
    ],
    "lastUsedClientID": "bOFty3tWgpijnwMcltysNFqHgO1ziz1I",
    "lastUsedUsername": "mary@fabrikamcorp.com",
    "lastUsedConnection": {"name": "FabrikamAD", "strategy": "ad"},
}


@pytest.fixture
def session():
    connection = make_connection("FabrikamAD", "ad")
    applications = [
        make_application(f"App {n}", client_id=client_id) for n, client_id in enumerate(SEED["sessionClients"])
    ]
    applications[0].web_origins = [ORIGIN]
    applications[0].save()
    make_application("Outside", client_id="outside", allowed_origins="https://outside.example")
    return make_session(make_user(connection=connection), *applications)


def get(session=None, origin=None, query=None, **headers):
    sent = {"Origin": origin} if origin else {}
    client = browser(session) if session else Client()
    return client.get("/user/ssodata", query or {}, headers={**sent, **headers})


def may_read(response):
    return "Access-Control-Allow-Origin" in response


def test_answers_exactly_the_seed(session):
    response = get(session, ORIGIN)
    assert response.json() == SEED
    assert response["Content-Type"] == "application/json"
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert response["Access-Control-Allow-Credentials"] == "true"
    assert {"Origin", "Cookie"} <= {part.strip() for part in response["Vary"].split(",")}
    assert "no-store" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("state", ["none", "unknown", "expired", "ended"])
def test_without_a_live_session_only_sso_false(session, state):
    now = timezone.now()
    if state == "expired":
        session.idle_expires_at = now - timedelta(seconds=1)
    if state == "ended":
        session.ended_at, session.end_initiator = now, "rp-logout"
    session.save()
    if state == "unknown":
        session.raw_cookie = "x" * 43
    response = get(None if state == "none" else session, ORIGIN)
    assert (response.status_code, response.json()) == (200, {"sso": False})
    assert may_read(response)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app-example.com",
        "https://appXexample.com",
        "https://app.example.com:8443",
        "https://app.example.com/",
        "https://app.example.com/x",
        "https://u@app.example.com",
        "HTTPS://APP.EXAMPLE.COM",
        "https://app.example.com_.evil.com",
        "https://app.example.com%60.evil.com",
        "https://app.example.com, https://app.example.com",
        "http://app.example.com",
        "https://evil.example",
        "null",
        "*",
    ],
)
def test_another_origin_reads_nothing_and_is_not_told_a_false_no(session, origin):
    response = get(session, origin)
    assert response.status_code == 403
    assert not may_read(response)
    assert response.json() == {"error": "access_denied"}
    assert "Origin" in response["Vary"]


@pytest.mark.parametrize(
    "entry", ["*", "null", "https://*.example.com", "https://app.example.com/path", "HTTPS://X.EXAMPLE"]
)
def test_an_inexact_origin_in_the_database_opens_nothing(session, entry):
    """At use; it is refused at save too."""
    make_application("Broken", client_id="broken", web_origins=[entry])
    for origin in (entry, "https://a.example.com", "null"):
        assert not may_read(get(session, origin))


def test_the_origin_must_belong_to_the_client_id_that_is_named(session):
    assert may_read(get(session, ORIGIN, {"client_id": SEED["sessionClients"][0], "ldaps": "1"}))
    response = get(session, ORIGIN, {"client_id": "outside"})
    assert not may_read(response)
    assert response.status_code == 403


def test_script_and_image_tags_get_nothing(session):
    response = get(session, **{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"})
    assert response.status_code == 403
    assert "mary" not in response.content.decode()


def test_a_callback_makes_no_script(session):
    response = get(session, ORIGIN, {"callback": "alert"})
    assert response["Content-Type"] == "application/json"
    assert response.json() == SEED


def test_our_own_pages_read_it_without_cors(session):
    response = get(session, **{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"})
    assert response.json() == SEED
    assert not may_read(response)


def test_the_name_is_masked_for_applications_of_others(session):
    make_application("Partner", client_id="partner", web_origins=["https://partner.example"], is_first_party=False)
    assert get(session, "https://partner.example").json()["lastUsedUsername"] == "m***@f***"


def test_it_lists_the_applications_of_this_session_only(session):
    other = make_session(session.user, make_application("Elsewhere", client_id="elsewhere"))
    assert other.pk != session.pk
    assert "elsewhere" not in get(session, ORIGIN).content.decode()


def test_polling_keeps_no_session_alive(session):
    before = timezone.now() - timedelta(hours=2)
    type(session).objects.filter(pk=session.pk).update(
        last_seen_at=before, idle_expires_at=before + timedelta(hours=72)
    )
    get(session, ORIGIN)
    session.refresh_from_db()
    assert session.last_seen_at == before
    assert session.idle_expires_at == before + timedelta(hours=72)


def test_a_forged_host_is_refused(session):
    assert get(session, ORIGIN, Host="evil.example").status_code == 400
    assert get(session, ORIGIN, **{"X-Forwarded-Host": "evil.example"}).json() == SEED


def test_a_preflight_is_answered_for_registered_origins_only(session):
    assert Client().options("/user/ssodata", headers={"Origin": ORIGIN}).status_code == 204
    assert not may_read(Client().options("/user/ssodata", headers={"Origin": "https://evil.example"}))


def test_costs_two_statements(session, django_assert_num_queries):
    get(session, ORIGIN)  # fills the snapshot of the configuration
    with django_assert_num_queries(2):
        get(session, ORIGIN)
