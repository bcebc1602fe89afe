"""An application that is disabled, and a connection that is switched off for an application: on every path."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from idp.crypto import keys
from idp.models import Application, Connection, ResourceServer
from idp.tenants import configuration
from logout_app.models import LogoutTransaction
from sessions_app.models import RefreshTokenFamily, SSOSession
from tests.support.factories import browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import (
    answer_of,
    authorize,
    code_for,
    credentials,
    exchange,
    post_form,
    refresh,
    token,
    tokens_for,
    userinfo,
)

pytestmark = pytest.mark.django_db
OUT = "https://app.example/out"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
PAGE_VISIT = {"Sec-Fetch-Dest": "document", "Accept": "text/html"}


@pytest.fixture
def connection() -> Connection:
    return make_connection()


@pytest.fixture
def app() -> Application:
    return make_application(
        "App",
        client_id="app",
        post_logout_redirect_uris=OUT,
        web_origins=["https://app.example"],
        grant_types=["authorization_code", "refresh_token", DEVICE],
    )


@pytest.fixture
def session(app: Application, connection: Connection) -> SSOSession:
    return make_session(make_user(connection=connection), app)


def disable(app: Application) -> None:
    app.enabled = False
    app.save()


def switch_off(connection: Connection, *, but_for: Application | None = None) -> None:
    connection.enabled_for_all = False
    connection.save()
    connection.enabled_clients.set([but_for] if but_for else [])


def is_live(session: SSOSession) -> bool:
    session.refresh_from_db()
    return session.ended_at is None


# --- a disabled application is nowhere to go to -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v2/logout", "/oidc/logout", "/logout"])
@pytest.mark.parametrize("signed_in", [True, False])
def test_nobody_is_led_to_a_disabled_application(
    app: Application, session: SSOSession, path: str, signed_in: bool
) -> None:
    """As with an unknown one: a page that ends nothing by itself and offers to sign out."""
    disable(app)
    client = browser(session) if signed_in else Client()
    answer = client.get(path, {"client_id": "app", "returnTo": OUT, "post_logout_redirect_uri": OUT})
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    page = answer.content.decode()
    assert "The application (client_id) is disabled" in page
    assert is_live(session)
    assert 'href="/oidc/logout">Sign out' in page


def test_without_an_address_the_first_url_of_a_disabled_application_is_not_taken(
    app: Application, session: SSOSession
) -> None:
    disable(app)
    assert browser(session).get("/v2/logout", {"client_id": "app"}).status_code == 400


def test_a_hint_of_a_disabled_application_still_signs_out_and_leads_nowhere(
    app: Application, session: SSOSession
) -> None:
    hint = tokens_for(session, app)["id_token"]
    disable(app)
    answer = browser(session).get("/oidc/logout", {"id_token_hint": hint, "post_logout_redirect_uri": OUT})
    assert "Location" not in answer.headers
    assert answer.status_code == 200
    assert not is_live(session)


def test_an_application_that_is_disabled_while_we_ask_is_not_gone_back_to(
    app: Application, session: SSOSession
) -> None:
    client = browser(session)
    page = client.get("/oidc/logout", {"client_id": "app", "post_logout_redirect_uri": OUT}).content.decode()
    question = re.search(r'name="question" value="([^"]+)"', page)
    assert question
    disable(app)
    answer = client.post("/oidc/logout/confirm", {"question": question[1], "logout": "yes"})
    assert "Location" not in answer.headers
    assert not is_live(session)


def test_a_sign_out_page_does_not_lead_on_to_what_was_disabled_meanwhile(app: Application, session: SSOSession) -> None:
    app.backchannel_logout_uri = "https://app.example/bc"
    app.save()
    client = browser(session)
    page = client.get("/v2/logout", {"client_id": "app", "returnTo": OUT}, headers=PAGE_VISIT)["Location"]
    assert OUT in client.get(page).content.decode()
    disable(app)
    assert OUT not in client.get(page).content.decode()
    assert LogoutTransaction.objects.get().leads_to == ""


# --- a connection that is switched off for an application ---------------------------------------------------------------


def test_a_code_is_not_exchanged(app: Application, session: SSOSession, connection: Connection) -> None:
    code = code_for(session, app)
    switch_off(connection)
    assert exchange(app, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
def test_refresh_tokens_are_refused_until_it_is_switched_on_again(
    app: Application, session: SSOSession, connection: Connection, scope: str
) -> None:
    raw = tokens_for(session, app, scope=scope)["refresh_token"]
    switch_off(connection)
    answer = refresh(app, raw)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert RefreshTokenFamily.objects.get().revoked_at is None
    switch_off(connection, but_for=app)
    assert refresh(app, raw).status_code == 200


def test_an_offline_token_whose_session_is_forgotten_goes_by_the_person_s_connections(
    app: Application, session: SSOSession, connection: Connection
) -> None:
    raw = tokens_for(session, app, scope="openid offline_access")["refresh_token"]
    RefreshTokenFamily.objects.update(session=None)
    raw = refresh(app, raw).json()["refresh_token"]
    switch_off(connection)
    assert refresh(app, raw).status_code == 400


@pytest.mark.parametrize("dialect", ["", "opaque", "access_token", "rfc9068_profile"])
def test_access_tokens_say_nothing_any_more(
    app: Application, session: SSOSession, connection: Connection, dialect: str
) -> None:
    audience = {}
    if dialect:
        ResourceServer.objects.create(identifier="https://api.example/", token_dialect=dialect)
        audience = {"audience": "https://api.example/"}
    tokens = tokens_for(session, app, scope="openid offline_access", **audience)
    raw = tokens["access_token"]
    assert userinfo(raw).status_code == 200
    switch_off(connection)
    assert userinfo(raw).status_code == 401
    for presented in (raw, tokens["refresh_token"]):
        answer = post_form("/oauth/introspect", {**credentials(app), "token": presented})
        assert answer.json() == {"active": False}


def test_a_silent_sign_in_says_login_required(app: Application, session: SSOSession, connection: Connection) -> None:
    switch_off(connection)
    assert answer_of(authorize(session, app, prompt="none"))["error"] == "login_required"


def test_a_device_is_not_signed_in(app: Application, session: SSOSession, connection: Connection) -> None:
    started = post_form("/oauth/device/code", {**credentials(app), "scope": "openid"}).json()
    allowed = {"user_code": started["user_code"], "answer": "allow"}
    switch_off(connection)
    refused = browser(session).post("/activate", allowed)
    assert refused.status_code == 403
    assert "This account may not use the application." in refused.content.decode()
    switch_off(connection, but_for=app)
    assert browser(session).post("/activate", allowed).status_code == 200
    switch_off(connection)
    answer = token(app, grant_type=DEVICE, device_code=started["device_code"])
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")


def test_ssodata_tells_the_application_of_no_session(
    app: Application, session: SSOSession, connection: Connection
) -> None:
    def ask(**query: str) -> Any:
        answer = browser(session).get("/user/ssodata", query, headers={"Origin": "https://app.example"})
        assert answer["Access-Control-Allow-Origin"] == "https://app.example"
        return answer.json()

    assert ask()["sso"] is True
    switch_off(connection)
    assert ask() == ask(client_id="app") == {"sso": False}


def test_another_application_of_the_connection_goes_on(
    app: Application, session: SSOSession, connection: Connection
) -> None:
    raw = tokens_for(session, app)["refresh_token"]
    switch_off(connection, but_for=app)
    assert refresh(app, raw).status_code == 200


def test_it_costs_no_statement(
    app: Application, session: SSOSession, connection: Connection, django_assert_num_queries: Any
) -> None:
    """performance: once the configuration is at hand."""
    configuration.load_tenant()
    keys.ensure()
    switch_off(connection, but_for=app)
    raw = tokens_for(session, app)["access_token"]
    with django_assert_num_queries(1):
        assert userinfo(raw).status_code == 200
