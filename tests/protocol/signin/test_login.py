"""The login page and the session that comes of it."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone

from idp.connections import database, registry
from idp.models import Connection, Identity, TenantSettings
from sessions_app.models import SessionEvent, SSOSession
from sessions_app.signin import sign_in
from tests.support.factories import PASSWORD, browser, make_application, make_connection, make_session, make_user
from tests.support.sign_in import csrf_client, csrf_token, session_of, sign_in_by_form

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fabrikam():
    make_connection()


def authorize(application, **params):
    query = {
        "client_id": application.client_id,
        "redirect_uri": application.callbacks[0],
        "response_type": "code",
        **params,
    }
    return f"/authorize?{urlencode(query)}"


def test_mary_signs_in_by_the_form_and_is_somebody():
    mary = make_user()
    client = csrf_client()

    response = sign_in_by_form(client, "Mary@FabrikamCorp.com ")

    assert (response.status_code, response["Location"]) == (302, "/")
    session = session_of(client)
    assert (session.user, session.connection.name) == (mary, "FabrikamAD")
    assert session.identity == mary.identities.get()
    assert [method["name"] for method in session.amr] == ["pwd"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", session.amr[0]["timestamp"])
    assert "mary@fabrikamcorp.com" in client.get("/").content.decode()
    assert list(SessionEvent.objects.values_list("type", flat=True)) == ["opened"]
    mary.refresh_from_db()
    assert mary.last_login
    assert Identity.objects.get().last_login_at


def test_a_sign_in_leaves_no_django_session():
    make_user()
    client = csrf_client()
    sign_in_by_form(client)
    assert not Session.objects.exists()
    assert settings.SESSION_COOKIE_NAME not in client.cookies


def test_sign_out_on_the_home_page_is_a_post():
    make_user()
    client = csrf_client()
    sign_in_by_form(client)
    token = csrf_token(client, "/")
    response = client.post("/logout", {"csrfmiddlewaretoken": token})
    assert response.status_code == 303
    assert "not signed in" in client.get("/").content.decode()


def test_a_planted_cookie_is_dead_and_the_session_is_new():
    make_user()
    client = csrf_client()
    client.cookies[settings.SSO_COOKIE_NAME] = "planted"
    client.cookies[settings.SESSION_COOKIE_NAME] = "plantedplantedplantedplantedplan"
    sign_in_by_form(client)
    assert client.cookies[settings.SSO_COOKIE_NAME].value != "planted"
    assert session_of(client)
    assert session_of(browser_with("planted")) is None


def browser_with(cookie):
    client = Client()
    client.cookies[settings.SSO_COOKIE_NAME] = cookie
    return client


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.2.3", "The server uses measures against CSRF and clickjacking")
def test_login_csrf_is_refused():
    make_user()
    client = csrf_client()
    response = client.post("/login", {"username": "mary@fabrikamcorp.com", "password": "correct horse battery staple"})
    assert response.status_code == 403
    assert not SSOSession.objects.exists()


def test_a_new_csrf_token_after_sign_in():
    make_user()
    client = csrf_client()
    before = csrf_token(client, "/login")
    sign_in_by_form(client)
    assert client.post("/logout", {"csrfmiddlewaretoken": before}).status_code == 403


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("mary@fabrikamcorp.com", "guess-one-two"),
        ("nobody@fabrikamcorp.com", "guess-one-two"),
        ("blocked@fabrikamcorp.com", "guess-one-two"),
        ("unusable@fabrikamcorp.com", "correct horse battery staple"),
    ],
)
def test_every_refusal_looks_the_same(username, password):
    """In what it says."""
    make_user()
    make_user("blocked@fabrikamcorp.com", is_active=False)
    make_user("unusable@fabrikamcorp.com", password=None)
    client = csrf_client()

    response = sign_in_by_form(client, username, password)

    page = response.content.decode()
    assert response.status_code == 200
    assert "E-mail address or password is wrong." in page
    assert password not in page
    assert 'aria-invalid="true"' in page
    assert session_of(client) is None
    event = SessionEvent.objects.get()
    assert (event.type, event.connection) == ("sign_in_failed", "FabrikamAD")
    assert username not in str(event.data)


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "x" * 600},
        {"username": "x" * 300},
        {"username": "mary\x00"},
        {"password": "a\x00b"},
        {"username": ""},
        {"password": ""},
        {"username": ["a", "b"]},
        {"password": ["a", "b"]},
    ],
)
def test_odd_input_is_refused_before_hashing(fields, monkeypatch):
    monkeypatch.setattr(database, "check_password", None)
    make_user()
    client = Client()
    response = client.post("/login", {"username": "mary@fabrikamcorp.com", "password": "guess", **fields})
    assert response.status_code == 400
    assert not SSOSession.objects.exists()


def test_a_megabyte_is_refused():
    make_user()
    response = Client().post("/login", {"username": "mary@fabrikamcorp.com", "password": "x" * 1_100_000})
    assert response.status_code == 413


def test_a_lone_surrogate_never_reaches_the_database():
    make_user()
    response = Client().post(
        "/login", "username=%ED%A0%80&password=%ED%A0%80", content_type="application/x-www-form-urlencoded"
    )
    assert response.status_code in (200, 400)


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.2.1", "login_hint tells whom the client expects")
def test_the_page_names_the_application_and_prefills_the_hint():
    application = make_application(name="SharePoint Intranet")
    page = Client().get("/login", {"next": authorize(application, login_hint="mary@x.example")}).content.decode()
    assert "Sign in to SharePoint Intranet" in page
    assert 'value="mary@x.example"' in page
    assert 'autocomplete="username webauthn"' in page
    assert 'autocomplete="current-password"' in page
    assert page.count('type="submit"') == 1
    assert "<style" not in page
    assert "style=" not in page


def test_the_hint_and_the_name_are_escaped():
    application = make_application(name="<b>Bold</b>", client_id="bold", redirect_uris="https://bold.example/cb")
    page = Client().get("/login", {"next": authorize(application, login_hint='"><script>')}).content.decode()
    assert "<b>" not in page
    assert '"><script>' not in page


def test_form_action_holds_the_origin_of_a_validated_redirect_uri_only():
    application = make_application()
    good = Client().get("/login", {"next": authorize(application)})
    evil = Client().get("/login", {"next": authorize(application, redirect_uri="https://evil.example/callback")})
    assert "form-action 'self' https://jwt-debugger.example;" in good["Content-Security-Policy"] + ";"
    assert "evil" not in evil["Content-Security-Policy"]
    assert good["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert good["Cache-Control"] == "no-store"
    assert "Cookie" in good["Vary"]


def test_a_native_application_may_have_its_own_scheme():
    application = make_application("CLI", app_type="native", redirect_uris="com.example.app:/callback")
    page = Client().get("/login", {"next": authorize(application)})
    assert "form-action 'self' com.example.app:" in page["Content-Security-Policy"]


@pytest.mark.spec("RFC 9700", "4.11.2", "The server must not be an open redirector")
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/%5Cevil.example",
        "javascript:alert(1)",
        "/authorize/../../evil",
        "/login?next=/",
        "/logout",
        "/v2/logout?client_id=x",
        "/oidc/logout",
        "/authorizeevil",
        "/\t/evil.example",
        "/authorize\n",
        "",
        "authorize",
        "/account/%2e%2e/x",
        "/account/.%2E/logout",
        "/account/%2e./logout",
    ],
)
def test_next_leads_home_unless_it_is_a_page_of_ours(url):
    make_user()
    client = csrf_client()
    assert sign_in_by_form(client, next=url)["Location"] == "/"


@pytest.mark.parametrize(
    "url", ["/authorize?client_id=x&scope=a%20b", "/admin/", "/account/sessions", "/activate?user_code=ABCD"]
)
def test_next_may_be_a_page_of_ours(url):
    make_user()
    assert sign_in_by_form(csrf_client(), next=url)["Location"] == url


def test_a_repeated_next_is_refused():
    assert Client().get("/login?next=/admin/&next=/account/").status_code == 400


def test_somebody_signed_in_goes_on_unless_an_application_asks():
    client = browser(make_session(make_user()))
    assert client.get("/login")["Location"] == "/"
    assert client.get("/login", {"next": "/admin/"})["Location"] == "/admin/"
    page = client.get("/login", {"next": authorize(make_application(), prompt="login")}).content.decode()
    assert "You are signed in as mary@fabrikamcorp.com" in page
    assert 'value="mary@fabrikamcorp.com"' in page


@pytest.mark.spec("OpenID Connect Core 1.0", "2", "auth_time is when the person last authenticated")
def test_the_same_person_keeps_the_session_with_a_new_cookie():
    make_user()
    client = csrf_client()
    sign_in_by_form(client)
    old_cookie, before = client.cookies[settings.SSO_COOKIE_NAME].value, session_of(client)
    SSOSession.objects.update(auth_time=timezone.now() - timedelta(hours=1))

    sign_in_by_form(client, next=authorize(make_application(), prompt="login"))

    after = session_of(client)
    assert after.sid == before.sid
    assert after.auth_time > timezone.now() - timedelta(minutes=1)
    assert session_of(browser_with(old_cookie)) is None
    assert SessionEvent.objects.filter(type="reauthenticated", sid=after.sid).count() == 1


def test_another_person_ends_the_session_that_was_there():
    make_user()
    john = make_user("john@fabrikamcorp.com")
    client = csrf_client()
    sign_in_by_form(client)
    first = session_of(client)
    sign_in_by_form(client, "john@fabrikamcorp.com", next=authorize(make_application(), prompt="login"))
    first.refresh_from_db()
    assert first.ended_at
    assert session_of(client).user == john
    assert session_of(client).sid != first.sid


def test_the_oldest_of_too_many_sessions_is_ended():
    mary = make_user()
    tenant = TenantSettings.objects.get_or_create(pk=1)[0]
    tenant.max_sessions_per_user = 3
    tenant.save()
    now = timezone.now()
    old = [make_session(mary, auth_time=now - timedelta(hours=hours)) for hours in (1, 3, 2)]
    client = csrf_client()
    sign_in_by_form(client)
    assert session_of(client).ended_at is None
    assert [SSOSession.objects.get(pk=row.pk).ended_at is None for row in old] == [True, False, True]


def test_an_ended_session_is_not_brought_back_by_signing_in():
    make_user()
    client = csrf_client()
    sign_in_by_form(client)
    first = session_of(client)
    SSOSession.objects.update(ended_at=timezone.now(), end_initiator="session-revoked")
    sign_in_by_form(client)
    assert session_of(client).sid != first.sid


def test_the_connection_of_the_request_is_the_one_that_is_asked():
    """The key of a person is connection and sub; the same address elsewhere is somebody else."""
    make_user(password="one password here")
    other = make_connection("Partners")
    partner = make_user(connection=other, password="another password")
    target = authorize(make_application(), connection="Partners")
    client = csrf_client()
    assert sign_in_by_form(client, password="one password here", next=target).status_code == 200
    assert sign_in_by_form(client, password="another password", next=target).status_code == 303
    assert session_of(client).user == partner


def test_an_unknown_connection_is_ignored_and_one_that_cannot_sign_in_is_refused(monkeypatch):
    monkeypatch.delitem(registry.REDIRECT_PROTOCOLS, "okta")
    make_connection("AcmeOkta", strategy="okta")
    application = make_application()
    assert Client().get("/login", {"next": authorize(application, connection="Nowhere")}).status_code == 200
    assert Client().get("/login", {"next": authorize(application, connection="AcmeOkta")}).status_code == 403


def test_a_native_application_may_come_back_to_any_loopback_port():
    application = make_application("CLI", redirect_uris="http://127.0.0.1/callback", app_type="native")
    page = Client().get("/login", {"next": authorize(application, redirect_uri="http://127.0.0.1:51234/callback")})
    assert "form-action 'self' http://127.0.0.1:51234" in page["Content-Security-Policy"]


def test_a_sign_in_costs_five_statements_or_thirteen_on_sqlite(django_assert_max_num_queries):
    """Settings, slots, identity, identity again, and one write: last login, session, event, slots given back."""
    make_user()
    client = Client()
    client.post("/login", {"username": "mary@fabrikamcorp.com", "password": "guess"})  # warm
    with django_assert_max_num_queries(5 if connection.vendor == "postgresql" else 13):
        sign_in_by_form_without_page(client)


def sign_in_by_form_without_page(client):
    return client.post("/login", {"username": "mary@fabrikamcorp.com", "password": PASSWORD})


def test_with_several_connections_the_person_chooses_or_the_domain_decides():
    fabrikam = make_user(password="one password here")
    other = make_connection("Partners", options={"domain_aliases": ["partner.example"]})
    partner = make_user("pat@partner.example", connection=other, password="another password")
    make_user("mary@fabrikamcorp.com", connection=other, password="third password!")
    page = Client().get("/login").content.decode()
    assert "<select" in page
    assert "Partners" in page

    client = csrf_client()
    sign_in_by_form(client, "pat@partner.example", "another password")
    assert session_of(client).user == partner
    client = csrf_client()
    sign_in_by_form(client, password="one password here", connection="FabrikamAD")
    assert session_of(client).user == fabrikam
    client = csrf_client()
    sign_in_by_form(client, password="third password!", connection="Partners")
    assert session_of(client).connection == other
    assert sign_in_by_form(csrf_client(), connection="Unknown").status_code == 400


def test_connections_that_cannot_sign_in_are_not_offered(monkeypatch):
    monkeypatch.delitem(registry.REDIRECT_PROTOCOLS, "okta")
    make_user()
    make_connection("AcmeOkta", strategy="okta")
    page = Client().get("/login").content.decode()
    assert "AcmeOkta" not in page
    assert "<select" not in page


@pytest.mark.parametrize("change", [{"enabled": False}, {"enabled_for_all": False}])
def test_a_connection_that_is_closed_to_the_application_is_refused(change):
    make_user()
    row = Connection.objects.get()
    for name, value in change.items():
        setattr(row, name, value)
    row.save()
    application = make_application()
    assert Client().get("/login", {"next": authorize(application)}).status_code == 403
    assert (
        Client()
        .post("/login", {"username": "mary@fabrikamcorp.com", "password": "x", "next": authorize(application)})
        .status_code
        == 403
    )
    if "enabled_for_all" in change:
        row.enabled_clients.add(application)
        assert Client().get("/login", {"next": authorize(application)}).status_code == 200


def test_a_person_revoked_while_signing_in_gets_a_dead_session(monkeypatch):
    """A revocation that commits between the check of the password and the new session wins."""
    mary = make_user()
    original = sign_in.record_authentication

    def record(request, user, **kwargs):
        original(request, user, **kwargs)
        type(mary).objects.filter(pk=mary.pk).update(revoked_before=timezone.now())

    monkeypatch.setattr(sign_in, "record_authentication", record)
    client = csrf_client()
    sign_in_by_form(client)
    assert "not signed in" in client.get("/").content.decode()


def test_pages_of_ours_ask_to_sign_in():
    assert Client().get("/account/password/change/")["Location"] == "/login?next=/account/password/change/"
