"""A sign-in that an authorization request waits for: its answer is the application's if a redirect can carry it."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import pytest
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import Connection, Identity, LimiterSlot, ResourceServer
from idp.people import accounts
from idp.tenants import configuration
from sessions_app.models import AuthorizationCode, SessionClient, SessionEvent, SSOSession
from sessions_app.protocol.session_state import session_state
from sessions_app.signin import sign_in
from tests.support.factories import PASSWORD, browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import answer_of, decode, exchange, next_of, request_params
from tests.support.oauth import authorize as ask
from tests.support.sign_in import csrf_client, session_of, sign_in_by_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def app():
    return make_application()


@pytest.fixture
def mary():
    return make_user()


def waiting(application, **changes) -> str:
    return f"/authorize?{urlencode(request_params(application, **changes))}"


def leads_to_authorize(response) -> bool:
    """Whether the browser is sent on to /authorize, with nothing issued yet."""
    return response.status_code == 302 and urlsplit(response["Location"]).path == "/authorize"


def test_the_code_comes_with_the_session(app, mary):
    client = csrf_client()
    response = sign_in_by_form(client, next=waiting(app))
    assert response.status_code == 303
    assert response["Location"].startswith(f"{app.callbacks[0]}?code=")
    answer = answer_of(response)
    assert (answer["state"], answer["iss"]) == ("the-state", settings.ISSUER)
    session = session_of(client)
    assert session.last_application == app
    assert SessionClient.objects.get().session == session
    events = SessionEvent.objects.order_by("pk").values_list("type", "client_id", "sid")
    assert list(events) == [("opened", "", session.sid), ("joined", app.client_id, session.sid)]
    claims = decode(exchange(app, answer["code"]).json()["id_token"])
    assert (claims["sid"], claims["sub"], claims["nonce"]) == (session.sid, mary.user_id, "the-nonce")
    assert exchange(app, answer["code"]).status_code == 400  # once


def test_it_is_the_answer_that_authorize_would_have_given(app, mary):
    client = csrf_client()
    at_once = sign_in_by_form(client, next=waiting(app, response_mode="fragment"))
    later = ask(client, app, response_mode="fragment")
    assert at_once.status_code == later.status_code == 303
    assert {**answer_of(at_once), "code": ""} == {**answer_of(later), "code": ""}
    assert "#code=" in at_once["Location"]


def test_it_takes_no_statement_more_than_a_sign_in_alone(app, mary, django_assert_max_num_queries):
    form = {"username": "mary@fabrikamcorp.com", "password": PASSWORD, "next": waiting(app)}
    assert Client().post("/login", form).status_code == 303  # warm
    with django_assert_max_num_queries(5 if connection.vendor == "postgresql" else 16):
        assert Client().post("/login", form).status_code == 303


@pytest.mark.parametrize("mode", ["form_post", "web_message"])
def test_an_answer_that_is_a_page_is_given_by_authorize(mary, mode):
    app = make_application(web_origins=["https://jwt-debugger.example"])
    client = csrf_client()
    response = sign_in_by_form(client, next=waiting(app, response_mode=mode))
    assert leads_to_authorize(response)
    assert not AuthorizationCode.objects.exists()
    assert "code" in client.get(response["Location"]).content.decode()


def test_a_question_is_asked_by_authorize_and_its_answer_counts_later(mary):
    app = make_application(is_first_party=False)
    client = csrf_client()
    response = sign_in_by_form(client, next=waiting(app))
    assert leads_to_authorize(response)
    assert not SessionClient.objects.exists()
    page = client.get(response["Location"]).content.decode()
    assert 'action="/authorize/consent"' in page
    mary.consents.create(application=app, scopes=["openid", "profile", "email"])
    assert sign_in_by_form(csrf_client(), next=waiting(app)).status_code == 303
    assert leads_to_authorize(sign_in_by_form(csrf_client(), next=waiting(app, prompt="consent")))


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}])
def test_a_forced_sign_in_counts_only_for_the_browser_and_the_request_that_were_sent_here(app, mary, changes):
    """The marker is asked for here as well."""
    client = csrf_client()
    back = next_of(ask(client, app, **changes))
    assert sign_in_by_form(client, next=back).status_code == 303
    stranger = csrf_client()
    unmarked = sign_in_by_form(stranger, next=waiting(app, **changes))
    assert leads_to_authorize(unmarked)
    assert next_of(stranger.get(unmarked["Location"]))
    borrowed = sign_in_by_form(csrf_client(), next=back)
    assert leads_to_authorize(borrowed)
    assert AuthorizationCode.objects.count() == 1


def test_another_person_than_the_one_that_was_asked_for_gets_no_code(app, mary):
    claims = '{"id_token": {"sub": {"value": "auth0|somebody-else"}}}'
    client = csrf_client()
    back = next_of(ask(client, app, claims=claims))
    response = sign_in_by_form(client, next=back)
    assert leads_to_authorize(response)
    assert answer_of(client.get(response["Location"]))["error"] == "login_required"
    assert not AuthorizationCode.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"client_id": "nobody"},
        {"response_type": "token"},
        {"prompt": "none login"},
        {"audience": "https://unknown.example"},
        {"code_challenge": "short"},
    ],
)
def test_errors_are_given_by_authorize(app, mary, changes):
    client = csrf_client()
    response = sign_in_by_form(client, next=waiting(app, **changes))
    assert leads_to_authorize(response)
    assert session_of(client)
    assert not AuthorizationCode.objects.exists()
    refused = client.get(response["Location"])
    assert "evil.example" not in refused.get("Location", "")
    assert refused.status_code == 400 or "error" in answer_of(refused)


def test_an_application_or_a_grant_that_is_switched_off_gets_none(app, mary):
    app.enabled = False
    app.save()
    assert leads_to_authorize(sign_in_by_form(csrf_client(), next=waiting(app)))
    app.enabled, app.grant_types = True, ["client_credentials"]
    app.save()
    assert leads_to_authorize(sign_in_by_form(csrf_client(), next=waiting(app)))
    assert not AuthorizationCode.objects.exists()


def test_a_silent_request_is_answered_too(app, mary):
    response = sign_in_by_form(csrf_client(), next=waiting(app, prompt="none"))
    assert "code" in answer_of(response)


@pytest.mark.parametrize(
    ("registered", "asked", "source"),
    [
        ("com.example.app:/callback", "com.example.app:/callback", "com.example.app:"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:51234/callback", "http://127.0.0.1:51234"),
        ("http://[::1]/callback", "http://[::1]:51234/callback", "http:"),  # CSP has no words for IPv6 addresses
        ("https://app.example/callback?tenant=1", "https://app.example/callback?tenant=1", "https://app.example"),
    ],
)
def test_the_page_with_the_form_allows_where_its_answer_leads(mary, registered, asked, source):
    """Chromium applies the form-action of the page to the redirect that answers the POST; the redirect needs none of its own."""
    app = make_application(app_type="native", redirect_uris=registered)
    target = waiting(app, redirect_uri=asked)
    client = csrf_client()
    page = client.get("/login", {"next": target})
    response = sign_in_by_form(client, next=target)
    assert response["Location"].startswith(f"{asked}{'&' if '?' in asked else '?'}code=")
    policy = dict(part.strip().split(" ", 1) for part in page["Content-Security-Policy"].split(";"))
    assert policy["form-action"] == f"'self' {source}"
    assert "Content-Security-Policy" not in response.headers


def test_an_api_that_is_asked_for_is_remembered(app, mary):
    ResourceServer.objects.create(identifier="https://api.example", name="API")
    response = sign_in_by_form(csrf_client(), next=waiting(app, audience="https://api.example"))
    assert "code" in answer_of(response)
    assert AuthorizationCode.objects.get().audience == "https://api.example"


def test_a_second_factor_comes_before_any_code(app, mary):
    Authenticator.objects.create(
        user=mary, type=Authenticator.Type.TOTP, data={"secret": get_mfa_adapter().encrypt("JBSWY3DPEHPK3PXP")}
    )
    client = csrf_client()
    assert sign_in_by_form(client, next=waiting(app))["Location"] == reverse("mfa_authenticate")
    assert not SSOSession.objects.exists()
    assert not AuthorizationCode.objects.exists()
    assert set(LimiterSlot.objects.values_list("count", flat=True)) == {0}


def test_who_proves_it_again_keeps_the_session_and_goes_by_authorize(app, mary):
    session = make_session(mary, app, auth_time=timezone.now() - timedelta(hours=1))
    client = csrf_client()
    client.cookies.update(browser(session).cookies)
    back = next_of(ask(client, app, prompt="login"))
    response = sign_in_by_form(client, next=back)
    assert leads_to_authorize(response)
    assert session_of(client).pk == session.pk
    assert "code" in answer_of(client.get(response["Location"]))
    assert set(LimiterSlot.objects.values_list("count", flat=True)) == {0}


@pytest.mark.parametrize("meanwhile", ["blocked", "revoked", "closed", "another password", "given to somebody else"])
def test_who_may_not_sign_in_any_more_gets_neither_session_nor_code(app, mary, monkeypatch, meanwhile):
    """What happens between the last look and the write is seen by the write."""
    decide = sign_in.lifecycle.open_session

    def late(*args, **kwargs):
        if meanwhile == "blocked":
            accounts.block_user(type(mary).objects.get(), actor="admin:x", at=timezone.now())
        elif meanwhile == "revoked":
            Identity.objects.update(revoked_before=timezone.now())
        elif meanwhile == "another password":
            mary.set_password("another-horse-9")
            mary.save()
        elif meanwhile == "given to somebody else":
            Identity.objects.update(user=make_user("eve@fabrikamcorp.com"))
        else:
            accounts.disable_connection(Connection.objects.get(), actor="admin:x", at=timezone.now())
        return decide(*args, **kwargs)

    monkeypatch.setattr(sign_in.lifecycle, "open_session", late)
    client = csrf_client()
    response = sign_in_by_form(client, next=waiting(app))
    assert response.status_code == 403
    assert not SSOSession.objects.exists()
    assert not AuthorizationCode.objects.exists()
    assert not SessionClient.objects.exists()
    assert not SessionEvent.objects.filter(type__in=["opened", "joined"]).exists()
    assert set(LimiterSlot.objects.values_list("count", flat=True)) == {0}  # the password was right: given back once


def test_a_wrong_password_gets_nothing(app, mary):
    assert sign_in_by_form(csrf_client(), password="wrong", next=waiting(app)).status_code == 200
    assert not AuthorizationCode.objects.exists()


def test_the_session_state_is_that_of_the_browser_after_the_sign_in(app, mary):
    """Not of the value from before: the page would hear "changed" at once."""
    tenant = configuration.load_tenant()
    tenant.session_management = True
    tenant.save()
    client = csrf_client()
    client.cookies[settings.BROWSER_STATE_COOKIE_NAME] = "b" * 43
    value = answer_of(sign_in_by_form(client, next=waiting(app)))["session_state"]
    state = client.cookies[settings.BROWSER_STATE_COOKIE_NAME].value
    assert state != "b" * 43
    assert value == session_state(
        client_id=app.client_id, redirect_uri=app.callbacks[0], browser_state=state, salt=value.split(".")[1]
    )


def test_another_persons_session_in_this_browser_ends(app, mary):
    eve = make_user("eve@fabrikamcorp.com")
    old = make_session(eve, app)
    client = csrf_client()
    client.cookies.update(browser(old).cookies)
    back = next_of(ask(client, app, prompt="login"))
    response = sign_in_by_form(client, next=back)
    assert "code" in answer_of(response)
    assert session_of(client).user == mary
    old.refresh_from_db()
    assert old.ended_at


def test_a_connection_that_is_not_the_applications_opens_nothing_for_it(app, mary):
    mine = make_connection("Mine", enabled_for_all=False)
    make_user("pat@mine.example", connection=mine, password="another password")
    client = csrf_client()
    assert sign_in_by_form(client, "pat@mine.example", "another password", next=waiting(app)).status_code == 200
    assert not SSOSession.objects.exists()
    mine.enabled_clients.add(app)
    assert sign_in_by_form(client, "pat@mine.example", "another password", next=waiting(app), connection="Mine")
    assert SSOSession.objects.get().connection == mine
