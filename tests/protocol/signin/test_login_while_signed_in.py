"""`/login` in a browser where somebody is signed in: a bookmark, the back button, a second tab. Nobody asked for a password."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from idp.models import Application, Connection
from sessions_app.models import SSOSession
from tests.support.factories import PASSWORD, browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import answer_of, next_of, request_params
from tests.support.sign_in import csrf_client, csrf_token, sign_in_by_form

pytestmark = pytest.mark.django_db
FORM = 'name="password"'


@pytest.fixture
def app() -> Application:
    return make_application("App", client_id="app")


@pytest.fixture
def session(app: Application) -> SSOSession:
    return make_session(make_user())


def open_login(client: Client, app: Application, query: str = "", **changes: Any) -> Any:
    behind = f"/authorize?{urlencode(request_params(app, **changes))}"
    return client.get(f"/login?{urlencode({'next': behind})}{query}")


def test_who_is_signed_in_is_led_on_to_the_application(app: Application, session: SSOSession) -> None:
    client = browser(session)
    onward = open_login(client, app)
    assert onward.status_code == 302
    assert "code" in answer_of(client.get(onward["Location"]))


def test_the_login_page_of_a_second_tab_leads_on_after_the_first_one_signed_in(app: Application) -> None:
    """Both tabs were sent here by /authorize, with a marker in `next`; one signs in, the other is reloaded."""
    make_user()
    client = csrf_client()
    tabs = [client.get("/authorize", request_params(app, state=state))["Location"] for state in ("one", "two")]
    token = csrf_token(client, tabs[0])
    client.post(tabs[0], {"username": "mary@fabrikamcorp.com", "password": PASSWORD, "csrfmiddlewaretoken": token})
    onward = client.get(tabs[1])
    assert onward.status_code == 302
    assert answer_of(client.get(onward["Location"]))["state"] == "two"


@pytest.mark.parametrize(
    "asked", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}, {"max_age": "60"}]
)
def test_an_application_that_wants_a_new_proof_gets_the_form(
    app: Application, session: SSOSession, asked: dict[str, str]
) -> None:
    SSOSession.objects.update(auth_time=timezone.now() - timedelta(minutes=5))
    page = open_login(browser(session), app, **asked)
    assert page.status_code == 200
    assert FORM in page.content.decode()


def test_a_new_proof_is_asked_for_once(app: Application) -> None:
    make_user()
    client = csrf_client()
    sign_in_by_form(client)
    SSOSession.objects.update(auth_time=timezone.now() - timedelta(minutes=5))
    asked = next_of(client.get("/authorize", request_params(app, prompt="login")))
    assert FORM in client.get("/login", {"next": asked}).content.decode()
    assert "code" in answer_of(client.get(sign_in_by_form(client, next=asked)["Location"]))
    again = client.get("/login", {"next": asked})  # the back button
    assert again.status_code == 302
    assert "code" in answer_of(client.get(again["Location"]))


def test_a_connection_that_may_not_be_used_for_the_application_gets_the_form(
    app: Application, session: SSOSession
) -> None:
    connection = Connection.objects.get()
    connection.enabled_for_all = False
    connection.save()
    make_connection("Other")
    assert FORM in open_login(browser(session), app).content.decode()


@pytest.mark.parametrize("query", ["&choose=1", "&only=FabrikamAD"])
def test_who_wants_to_choose_may(app: Application, session: SSOSession, query: str) -> None:
    assert FORM in open_login(browser(session), app, query).content.decode()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompt": "none", "max_age": "0"}, "login_required"),
        ({"scope": "openid", "response_type": "x"}, "unsupported_response_type"),
    ],
)
def test_a_request_that_cannot_be_answered_by_a_sign_in_is_answered_at_once(
    app: Application, session: SSOSession, changes: dict[str, str], error: str
) -> None:
    client = browser(session)
    onward = open_login(client, app, **changes)
    assert onward.status_code == 302
    assert answer_of(client.get(onward["Location"]))["error"] == error


def test_an_only_upstream_is_not_departed_to_while_somebody_is_signed_in(app: Application, session: SSOSession) -> None:
    Connection.objects.update(strategy="oidc")
    assert open_login(browser(session), app)["Location"].startswith("/authorize?")


def test_nobody_signed_in_sees_the_form(app: Application) -> None:
    make_connection()
    assert FORM in open_login(Client(), app).content.decode()
