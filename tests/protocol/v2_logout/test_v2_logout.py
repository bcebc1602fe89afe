"""GET /v2/logout, as Auth0's SDKs send it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.test import Client

from idp.models import TenantSettings
from logout_app.models import LogoutDelivery, LogoutEvent, LogoutTransaction
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
PAGE_VISIT = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
OUT = "https://app.example/out"


@pytest.fixture
def app():
    return make_application("App", client_id="app", post_logout_redirect_uris=f"{OUT} https://app.example/two")


@pytest.fixture
def session(app):
    return make_session(make_user(), app)


def tenant(**fields):
    row = TenantSettings.objects.get_or_create(pk=1)[0]
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


def is_live(session):
    session.refresh_from_db()
    return session.ended_at is None


def test_ends_the_session_and_redirects(app, session):
    client = browser(session)
    response = client.get("/v2/logout", {"client_id": "app", "returnTo": OUT + "?x=1#done"})
    assert (response.status_code, response["Location"]) == (302, OUT + "?x=1#done")
    assert not is_live(session)
    assert LogoutEvent.objects.get().actor == "app:app"
    assert client.cookies["curfew_sso"].value == ""
    assert "no-store" in response["Cache-Control"]


def test_without_return_to_the_application_s_first_address_is_taken(app, session):
    assert browser(session).get("/v2/logout", {"client_id": "app"})["Location"] == OUT


@pytest.mark.parametrize(
    ("fields", "leads"),
    [({"app_type": "native"}, True), ({"token_endpoint_auth_method": "none"}, True), ({}, False)],
)
@pytest.mark.parametrize("path", ["/v2/logout", "/oidc/logout"])
def test_an_application_on_this_machine_is_reached_at_any_port(path, fields, leads):
    """Registered once, started each time on a port that was free (RFC 8252 section 7.3)."""
    method = fields.get("token_endpoint_auth_method", "none" if fields else "client_secret_post")
    make_application(
        "Tool",
        client_id="tool",
        post_logout_redirect_uris="http://127.0.0.1/out",
        **{"token_endpoint_auth_method": method, **fields},
    )
    address = "http://127.0.0.1:53124/out"
    name = "returnTo" if path == "/v2/logout" else "post_logout_redirect_uri"
    answer = Client().get(path, {"client_id": "tool", name: address})
    assert answer.get("Location", "") == (address if leads else "")
    assert answer.status_code in ((302, 303) if leads else (400,))
    assert Client().get(path, {"client_id": "tool", name: "http://127.0.0.1:53124/other"}).status_code == 400


def test_without_client_id_the_tenant_s_list_counts(session):
    tenant(allowed_logout_urls=["http://localhost:8080/"])
    client = browser(session)
    answer = client.get("/v2/logout", {"returnTo": OUT})
    assert answer.status_code == 400
    assert is_live(session)
    response = client.get("/v2/logout", {"returnTo": "http://localhost:8080/#complete"})
    assert response["Location"] == "http://localhost:8080/#complete"
    assert not is_live(session)


def test_with_neither_a_plain_page_says_it(session):
    response = browser(session).get("/v2/logout")
    assert response.status_code == 200
    assert "You are signed out" in response.content.decode()
    assert not is_live(session)


@pytest.mark.parametrize("headers", [{}, PAGE_VISIT])
def test_without_a_session_it_still_redirects(app, headers):
    response = Client().get("/v2/logout", {"client_id": "app", "returnTo": OUT}, headers=headers)
    assert (response.status_code, response["Location"]) == (302, OUT)
    assert not LogoutEvent.objects.exists()


@pytest.mark.parametrize(
    "query",
    [
        "client_id=nobody&returnTo=" + quote(OUT, safe=""),
        "client_id=app&returnTo=https%3A%2F%2Fevil.example%2F",
        "client_id=app&returnTo=%2F%2Fevil.example",
        "client_id=app&returnTo=javascript%3Aalert(1)",
        "client_id=app&returnTo=https%3A%2F%2Fapp.example%2Fout%250d%250aSet-Cookie%3A%2520x%3D1",
        "client_id=app&returnTo=https%3A%2F%2Fapp.example%2Fout%0d%0aSet-Cookie%3A%20x%3D1",
        "client_id=a%00pp&returnTo=" + quote(OUT, safe=""),
        "client_id=%ff%fe&returnTo=%ff",
        "returnTo=" + quote(OUT, safe=""),
        # repeated parameters
        f"client_id=app&returnTo={quote(OUT, safe='')}&returnTo=https%3A%2F%2Fevil.example",
        f"client_id=app&returnTo=https%3A%2F%2Fevil.example&returnTo={quote(OUT, safe='')}",
        f"client_id=app&client_id=app&returnTo={quote(OUT, safe='')}",
        "client_id=app&federated&federated",
    ],
)
def test_a_bad_request_gets_a_page_that_ended_nothing_and_offers_to_sign_out(app, session, query):
    response = browser(session).get("/v2/logout?" + query, headers=PAGE_VISIT)
    assert response.status_code == 400
    assert "Location" not in response
    assert "x" not in response.cookies
    assert 'href="/oidc/logout"' in response.content.decode()
    assert "evil.example" not in response.content.decode()
    assert is_live(session)


def test_an_address_of_another_application_is_refused(app, session):
    make_application("Other", client_id="other", post_logout_redirect_uris="https://other.example/out")
    response = browser(session).get("/v2/logout", {"client_id": "app", "returnTo": "https://other.example/out"})
    assert response.status_code == 400


@pytest.mark.parametrize("first_party", [True, False])
def test_wildcards_work_only_where_the_application_turned_them_on(session, first_party):
    make_application(
        "Wild",
        client_id="wild",
        post_logout_redirect_uris="https://*.example.com/out",
        allow_logout_url_wildcards=True,
        is_first_party=first_party,
    )
    response = browser(session).get("/v2/logout", {"client_id": "wild", "returnTo": "https://pr-1.example.com/out"})
    assert response.status_code == (302 if first_party else 400)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Dest": "script", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_a_part_of_another_page_asks_and_signs_nobody_out(app, session, headers):
    response = browser(session).get("/v2/logout", {"client_id": "app", "returnTo": OUT}, headers=headers)
    assert response.status_code == 200
    assert 'name="question"' in response.content.decode()
    assert is_live(session)


def test_a_link_on_another_site_signs_out_by_default(app, session):
    headers = PAGE_VISIT | {"Sec-Fetch-Site": "cross-site"}
    response = browser(session).get("/v2/logout", {"client_id": "app", "returnTo": OUT}, headers=headers)
    assert response.status_code == 302
    assert not is_live(session)


def test_a_tenant_may_want_a_question_for_links_on_other_sites(app, session):
    tenant(v2_logout_confirmation="cross_site")
    query = {"client_id": "app", "returnTo": OUT}
    client = browser(session)
    response = client.get("/v2/logout", query, headers=PAGE_VISIT | {"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200
    assert 'name="logout" value="yes"' in response.content.decode()
    assert "form-action 'self' https://app.example" in response["Content-Security-Policy"]
    assert is_live(session)
    client.get("/v2/logout", query, headers=PAGE_VISIT | {"Sec-Fetch-Site": "same-site"})
    assert not is_live(session)


def test_a_browser_sees_the_page_while_applications_are_being_told(session):
    told = make_application(
        "Told", client_id="told", backchannel_logout_uri="https://told.example/bc", post_logout_redirect_uris=OUT
    )
    session = make_session(session.user, told)
    client = browser(session)
    response = client.get("/v2/logout", {"client_id": "told", "returnTo": OUT}, headers=PAGE_VISIT)
    assert response["Location"].startswith("/logout/")
    assert not is_live(session)
    assert LogoutTransaction.objects.get().return_url == OUT
    page = client.get(response["Location"])
    assert page.status_code == 200
    assert OUT in page.content.decode()


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_a_program_is_redirected_at_once_and_the_deliveries_are_planned_all_the_same(session, accept):
    told = make_application(
        "Told",
        client_id="told",
        backchannel_logout_uri="https://told.example/bc",
        frontchannel_logout_uri="https://told.example/fc",
        post_logout_redirect_uris=OUT,
    )
    session = make_session(session.user, told)
    response = browser(session).get("/v2/logout", {"client_id": "told", "returnTo": OUT}, headers={"Accept": accept})
    assert response["Location"] == OUT
    assert list(LogoutDelivery.objects.values_list("channel", flat=True)) == ["backchannel"]


@pytest.mark.parametrize(("frontchannel", "page"), [("", False), ("https://told.example/fc", True)])
def test_a_browser_without_fetch_headers_waits_only_for_frames(session, frontchannel, page):
    told = make_application(
        "Told",
        client_id="told",
        backchannel_logout_uri="https://told.example/bc",
        frontchannel_logout_uri=frontchannel,
        post_logout_redirect_uris=OUT,
    )
    session = make_session(session.user, told)
    response = browser(session).get(
        "/v2/logout", {"client_id": "told", "returnTo": OUT}, headers={"Accept": "text/html"}
    )
    assert response["Location"].startswith("/logout/") is page


def test_post_is_not_a_logout(app, session):
    assert browser(session).post("/v2/logout", {"client_id": "app"}).status_code == 405
    assert is_live(session)


def test_a_second_logout_in_the_same_browser_does_nothing_more(app, session):
    client = browser(session)
    client.get("/v2/logout", {"client_id": "app"})
    client.cookies["curfew_sso"] = session.raw_cookie
    response = client.get("/v2/logout", {"client_id": "app"})
    assert response["Location"] == OUT
    assert LogoutEvent.objects.count() == 1


def test_a_custom_scheme_of_a_native_application_is_followed(session):
    make_application(
        "Native", client_id="native", app_type="native", post_logout_redirect_uris="com.example.app://host/out"
    )
    response = browser(session).get("/v2/logout", {"client_id": "native", "returnTo": "com.example.app://host/out"})
    assert response["Location"] == "com.example.app://host/out"


def test_the_older_path_of_early_sdks_is_the_same(app, session):
    """SDK contract: auth0-js 7 calls /logout."""
    assert browser(session).get("/logout", {"client_id": "app", "returnTo": OUT})["Location"] == OUT
    assert not is_live(session)


def test_the_person_s_own_button_shows_who_is_told(session):
    told = make_application("Told", client_id="told", backchannel_logout_uri="https://told.example/bc")
    session = make_session(session.user, told)
    client = browser(session)
    response = client.post("/logout", headers=PAGE_VISIT)
    assert response["Location"].startswith("/logout/")
    assert "Told" in client.get(response["Location"]).content.decode()
    assert not is_live(session)
    assert LogoutEvent.objects.get().actor == "user"


@pytest.mark.parametrize(("target", "location"), [("", "/"), ("/login", "/login"), ("https://evil.example/", "/")])
def test_the_button_leads_to_a_page_of_ours(app, session, target, location):
    assert browser(session).post("/logout", {"next": target})["Location"] == location
    assert not is_live(session)


def test_the_button_needs_csrf(session):
    client = browser(session, enforce_csrf_checks=True)
    assert client.post("/logout").status_code == 403
    assert is_live(session)
