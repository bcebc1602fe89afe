"""The endpoints: RFC 7591 and RFC 7592 over HTTP."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.applications import registration
from idp.applications.client_auth import secret_matches
from idp.http.requests import RequestFacts
from idp.models import Application, AppType, ClientRegistration
from idp.protocol.errors import InvalidToken
from idp.protocol.registration import parse
from idp.tenants import configuration
from idp.views import register as view
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
RFC7591 = "RFC 7591"
RFC7592 = "RFC 7592"
ASKED: dict[str, Any] = {
    "redirect_uris": ["https://rp.example/callback"],
    "client_name": "Timesheets",
    "grant_types": ["authorization_code", "refresh_token"],
    "post_logout_redirect_uris": ["https://rp.example/out"],
    "backchannel_logout_uri": "https://rp.example/bcl",
    "backchannel_logout_session_required": True,
    "reauthentication_uri": "https://rp.example/again",
    "command_endpoint": "https://rp.example/commands",
    "frontchannel_logout_uri": "https://rp.example/fcl",
    "frontchannel_logout_session_required": True,
    "contacts": ["ops@rp.example"],
}


@pytest.fixture
def on() -> None:
    tenant = configuration.load_tenant()
    tenant.dynamic_client_registration = True
    tenant.save()


def post(client: Client, document: Any = None, **kwargs: Any) -> Any:
    return client.post(
        "/oidc/register", json.dumps(document or ASKED), **{"content_type": "application/json", **kwargs}
    )


def manage(client: Client, method: str, registered: dict[str, Any], document: Any = None, token: str = "") -> Any:
    return client.generic(
        method,
        f"/oidc/register/{registered['client_id']}",
        json.dumps(document) if document is not None else "",
        content_type="application/json",
        headers={"Authorization": f"Bearer {token or registered['registration_access_token']}"},
    )


def replacement(registered: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What RFC 7592 section 2.2 wants back: everything but the server's own values."""
    server = {"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}
    return {name: value for name, value in registered.items() if name not in server} | changes


# --- register --------------------------------------------------------------------------------------------------------
def test_nobody_registers_while_it_is_off(client: Client) -> None:
    response = post(client)
    assert response.status_code == 404
    assert not Application.objects.exists()


@pytest.mark.spec(RFC7591, "3.2.1", "201 with client_id, secret, expiry and all registered metadata")
def test_a_registration_answers_with_everything_that_is_registered(client: Client, on: None) -> None:
    response = post(client)
    assert response.status_code == 201
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    answer = response.json()
    assert answer.items() >= ASKED.items()
    assert answer["client_secret_expires_at"] == 0
    assert answer["token_endpoint_auth_method"] == "client_secret_basic"
    assert answer["response_types"] == ["code"]
    assert "offline_access" in answer["scope"].split()
    assert answer["registration_client_uri"].endswith(f"/oidc/register/{answer['client_id']}")


def test_the_application_is_third_party_and_keeps_digests_only(client: Client, on: None) -> None:
    answer = post(client).json()
    row = Application.objects.get(client_id=answer["client_id"])
    assert not row.is_first_party
    assert row.enabled
    assert row.web_origins == []
    assert secret_matches(answer["client_secret"], row.client_secret)
    assert answer["client_secret"] not in row.client_secret
    assert row.registration.token_hash != answer["registration_access_token"]
    assert row.backchannel_logout_uri == "https://rp.example/bcl"
    assert row.frontchannel_logout_session_required
    assert row.allowed_logout_urls == ["https://rp.example/out"]


def test_the_new_application_is_seen_by_the_next_request(client: Client, on: None) -> None:
    answer = post(client).json()
    assert configuration.current().application(answer["client_id"]) is not None


@pytest.mark.parametrize(
    ("members", "app_type"),
    [
        ({"token_endpoint_auth_method": "none"}, AppType.SPA),
        ({"token_endpoint_auth_method": "none", "application_type": "native"}, AppType.NATIVE),
        ({"token_endpoint_auth_method": "client_secret_post"}, AppType.REGULAR_WEB),
    ],
)
def test_the_type_follows_from_what_was_registered(
    client: Client, on: None, members: dict[str, str], app_type: AppType
) -> None:
    answer = post(client, {"redirect_uris": ["https://RP.example:443/callback"], **members}).json()
    row = Application.objects.get(client_id=answer["client_id"])
    assert row.app_type == app_type
    assert ("client_secret" in answer) == (app_type == AppType.REGULAR_WEB)
    assert row.usable.cors_origins == ({"https://rp.example"} if app_type == AppType.SPA else set())


def test_without_a_name_people_see_the_host(client: Client, on: None) -> None:
    assert post(client, {"redirect_uris": ["https://rp.example/callback"]}).json()["client_name"] == "rp.example"


def test_two_registrations_share_nothing(client: Client, on: None) -> None:
    first, second = post(client).json(), post(client).json()
    for name in ("client_id", "client_secret", "registration_access_token"):
        assert first[name] != second[name]


@pytest.mark.spec(RFC7591, "3.2.2", "errors are 400 JSON with a registered code")
@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"redirect_uris": ["http://rp.example/"]}, "invalid_redirect_uri"),
        ({**ASKED, "id_token_signed_response_alg": "none"}, "invalid_client_metadata"),
    ],
)
def test_a_mistake_is_answered_in_the_words_of_the_specification(
    client: Client, on: None, document: dict[str, Any], error: str
) -> None:
    response = post(client, document)
    assert response.status_code == 400
    assert response.json()["error"] == error
    assert not Application.objects.exists()


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest/",
        "https://[::ffff:10.0.0.1]/x",
        "https://2130706433/",
        "https://rp.example:6379/",
        "http://rp.example/x",
    ],
)
@pytest.mark.parametrize("name", ["backchannel_logout_uri", "jwks_uri"])
def test_a_stranger_cannot_point_our_requests_into_the_network(client: Client, on: None, name: str, url: str) -> None:
    response = post(client, {**ASKED, name: url})
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_client_metadata"


def test_only_json_is_read(client: Client, on: None) -> None:
    assert post(client, content_type="application/x-www-form-urlencoded").status_code == 415
    assert post(client, content_type="application/json; charset=utf-8").status_code == 201


def test_a_long_body_is_refused(client: Client, on: None) -> None:
    assert post(client, {**ASKED, "pad": "x" * view.LARGEST_BODY}).status_code == 413


def test_get_is_not_for_registration(client: Client, on: None) -> None:
    assert client.get("/oidc/register").status_code == 405


def test_a_form_of_another_site_gets_nowhere_but_a_program_needs_no_csrf_token(on: None) -> None:
    assert post(Client(enforce_csrf_checks=True)).status_code == 201


def test_registrations_from_one_address_are_limited(client: Client, on: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "REGISTRATIONS", view.limiter.Limit("register", 2, 3600))
    answers = [post(client) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 3600


# --- what a registered client may do ----------------------------------------------------------------------------------
def authorize(client: Client, registered: dict[str, Any], **params: str) -> Any:
    asked = {
        "client_id": registered["client_id"],
        "redirect_uri": ASKED["redirect_uris"][0],
        "response_type": "code",
        "scope": "openid email",
    }
    return client.get("/authorize", asked | params)


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.2.4", "consent is asked for a client that nobody vouched for")
def test_people_are_asked_before_a_registered_application_learns_anything(client: Client, on: None) -> None:
    registered = post(client).json()
    mary = browser(make_session(make_user()))
    page = authorize(mary, registered)
    assert page.status_code == 200
    assert "Timesheets" in page.content.decode()
    silent = authorize(mary, registered, prompt="none")
    assert "error=consent_required" in silent.headers["Location"]


def test_a_registered_public_client_must_use_pkce(client: Client, on: None) -> None:
    registered = post(client, {**ASKED, "token_endpoint_auth_method": "none"}).json()
    refused = authorize(browser(make_session(make_user())), registered)
    assert "error=invalid_request" in refused.headers["Location"]


def test_a_registered_client_authenticates_at_the_token_endpoint(client: Client, on: None) -> None:
    registered = post(client).json()
    body = {"grant_type": "authorization_code", "code": "unknown", "redirect_uri": ASKED["redirect_uris"][0]}
    for secret, error in ((registered["client_secret"], "invalid_grant"), ("wrong", "invalid_client")):
        credentials = base64.b64encode(f"{registered['client_id']}:{secret}".encode()).decode()
        answer = client.post(
            "/oauth/token",
            urlencode(body),
            content_type="application/x-www-form-urlencoded",
            headers={"Authorization": f"Basic {credentials}"},
        )
        assert answer.json()["error"] == error


# --- manage ---------------------------------------------------------------------------------------------------------------
@pytest.mark.spec(RFC7592, "2.1", "GET gives the current metadata")
def test_the_token_reads_the_registration(client: Client, on: None) -> None:
    registered = post(client).json()
    response = manage(client, "GET", registered)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    expected = {name: value for name, value in registered.items() if not name.startswith("client_secret")}
    assert response.json() == expected


@pytest.mark.spec(RFC7592, "2.2", "PUT replaces everything, omitted values get their defaults")
def test_put_replaces_everything(client: Client, on: None) -> None:
    registered = post(client).json()
    document = replacement(registered, client_name="Hours", redirect_uris=["https://rp.example/new"])
    for gone in ("frontchannel_logout_uri", "contacts", "frontchannel_logout_session_required"):
        del document[gone]
    response = manage(client, "PUT", registered, document)
    assert response.status_code == 200
    answer = response.json()
    assert answer["client_name"] == "Hours"
    assert answer["redirect_uris"] == ["https://rp.example/new"]
    assert "frontchannel_logout_uri" not in answer
    assert "contacts" not in answer
    assert "client_secret" not in answer
    row = Application.objects.get(client_id=registered["client_id"])
    assert row.frontchannel_logout_uri == ""
    assert secret_matches(registered["client_secret"], row.client_secret)
    snapshot = configuration.current().application(row.client_id)
    assert snapshot is not None
    assert snapshot.name == "Hours"


@pytest.mark.spec(
    RFC7592, "2.2", "client_id must match; the server's values must not be sent; a sent secret must match"
)
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "another"},
        {"client_id": None},
        {"client_secret": "wrong"},
        {"client_secret": 1},
        {"registration_access_token": "x"},
        {"registration_client_uri": "https://id.example.com/"},
        {"client_secret_expires_at": 0},
        {"client_id_issued_at": 1},
    ],
)
def test_put_refuses_values_that_are_not_the_clients(client: Client, on: None, changes: dict[str, Any]) -> None:
    registered = post(client).json()
    response = manage(client, "PUT", registered, replacement(registered, client_name="Hours", **changes))
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_client_metadata"
    assert Application.objects.get(client_id=registered["client_id"]).name == "Timesheets"


def test_put_with_bad_metadata_changes_nothing(client: Client, on: None) -> None:
    registered = post(client).json()
    response = manage(client, "PUT", registered, replacement(registered, redirect_uris=["http://rp.example/"]))
    assert response.json()["error"] == "invalid_redirect_uri"
    assert Application.objects.get(client_id=registered["client_id"]).callbacks == ASKED["redirect_uris"]


def test_a_client_that_becomes_confidential_gets_a_secret(client: Client, on: None) -> None:
    registered = post(client, {"redirect_uris": ASKED["redirect_uris"], "token_endpoint_auth_method": "none"}).json()
    document = replacement(registered, token_endpoint_auth_method="client_secret_post")
    answer = manage(client, "PUT", registered, document).json()
    row = Application.objects.get(client_id=registered["client_id"])
    assert secret_matches(answer["client_secret"], row.client_secret)
    assert not row.is_public


def test_a_client_that_becomes_public_loses_its_secret(client: Client, on: None) -> None:
    registered = post(client, {"redirect_uris": ASKED["redirect_uris"]}).json()
    document = replacement(registered, token_endpoint_auth_method="none")
    assert manage(client, "PUT", registered, document).status_code == 200
    row = Application.objects.get(client_id=registered["client_id"])
    assert row.is_public
    assert not secret_matches(registered["client_secret"], row.client_secret)


def test_what_an_administrator_decided_survives_a_put(client: Client, on: None) -> None:
    registered = post(client).json()
    row = Application.objects.get(client_id=registered["client_id"])
    row.require_pkce, row.access_token_lifetime = True, 60
    row.save()
    assert manage(client, "PUT", registered, replacement(registered)).status_code == 200
    row.refresh_from_db()
    assert row.require_pkce
    assert row.access_token_lifetime == 60
    assert not row.is_first_party


@pytest.mark.parametrize(
    ("redirect_uri", "vouched_for"), [(ASKED["redirect_uris"][0], True), ("https://x.example/", False)]
)
def test_trust_does_not_move_to_another_address(client: Client, on: None, redirect_uri: str, vouched_for: bool) -> None:
    registered = post(client).json()
    row = Application.objects.get(client_id=registered["client_id"])
    row.is_first_party = True
    row.save()
    document = replacement(registered, redirect_uris=[redirect_uri])
    del document["frontchannel_logout_uri"]
    assert manage(client, "PUT", registered, document).status_code == 200
    row.refresh_from_db()
    assert row.is_first_party is vouched_for


@pytest.mark.spec(RFC7592, "2.3", "DELETE removes the client; its token is dead")
def test_delete_removes_the_application(client: Client, on: None) -> None:
    registered = post(client).json()
    response = manage(client, "DELETE", registered)
    assert response.status_code == 204
    assert response.content == b""
    assert not Application.objects.exists()
    assert not ClientRegistration.objects.exists()
    assert manage(client, "GET", registered).status_code == 401


@pytest.mark.spec(RFC7592, "2", "a request without the client's own token is 401")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_no_other_token_manages_a_registration(client: Client, on: None, method: str) -> None:
    mine, other = post(client).json(), post(client).json()
    for token in (other["registration_access_token"], "guess", mine["client_secret"]):
        response = manage(client, method, mine, replacement(mine), token=token)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert Application.objects.count() == 2


def test_no_token_at_all_is_401(client: Client, on: None) -> None:
    registered = post(client).json()
    path = reverse("register_manage", args=[registered["client_id"]])
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"Authorization": "Basic eDp5"}).status_code == 401


def test_an_application_that_an_administrator_made_is_not_managed_here(client: Client, on: None) -> None:
    application = make_application()
    assert manage(client, "GET", {"client_id": application.client_id}, token="x").status_code == 401


@pytest.mark.spec(RFC7592, "2.1", "a client that may not read its registration gets 403")
def test_a_disabled_application_may_not_manage_itself(client: Client, on: None) -> None:
    registered = post(client).json()
    row = Application.objects.get(client_id=registered["client_id"])
    row.enabled = False
    row.save()
    for method in ("GET", "PUT", "DELETE"):
        assert manage(client, method, registered, replacement(registered)).status_code == 403


def test_nothing_is_managed_while_it_is_off(client: Client, on: None) -> None:
    registered = post(client).json()
    tenant = configuration.load_tenant()
    tenant.dynamic_client_registration = False
    tenant.save()
    assert manage(client, "DELETE", registered).status_code == 404
    assert Application.objects.count() == 1


def test_guessing_tokens_is_limited(client: Client, on: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view.limiter, "ENDPOINT", view.limiter.Limit("endpoint-test", 2, 300))
    registered = post(client).json()
    statuses = [manage(client, "GET", registered, token=f"guess{n}").status_code for n in range(3)]
    assert statuses == [401, 401, 429]


def test_removing_a_registration_takes_the_application_out_of_sessions(client: Client, on: None) -> None:
    registered = post(client).json()
    application = Application.objects.get(client_id=registered["client_id"])
    session = make_session(make_user(), application)
    assert manage(client, "DELETE", registered).status_code == 204
    assert not session.clients.exists()
    session.refresh_from_db()
    assert session.ended_at is None


def test_a_replacement_that_loses_to_a_removal_is_401(client: Client, on: None) -> None:
    registered = post(client).json()
    found = registration.authenticate(registered["client_id"], registered["registration_access_token"])
    assert manage(client, "DELETE", registered).status_code == 204
    document = replacement(registered)
    with pytest.raises(InvalidToken):
        registration.replace(found, document, parse(document), facts=RequestFacts(), at=timezone.now())


def test_an_application_that_registers_itself_hears_of_every_ending(client: Client, on: None) -> None:
    assert post(client).status_code == 201
    assert Application.objects.get().deaf_to == []
