"""`session_state` in authorization responses, and when the browser state changes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from idp.models import Application
from idp.tenants import configuration
from sessions_app.protocol.session_state import session_state
from sessions_app.session import binding
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
DOCUMENT = "OpenID Connect Session Management 1.0"
STATE = "b" * 43


@pytest.fixture
def on() -> None:
    tenant = configuration.load_tenant()
    tenant.session_management = True
    tenant.save()


def authorize(client: Client, application: Application, **params: str) -> dict[str, str]:
    request = {
        "client_id": application.client_id,
        "redirect_uri": application.callbacks[0],
        "response_type": "code",
        "scope": "openid",
        "state": "xyz",
        "prompt": "none",
    }
    response: Any = client.get("/authorize", request | params)
    assert response.status_code == 303, response.content
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def expected(application: Application, value: str) -> str | None:
    return session_state(
        client_id=application.client_id,
        redirect_uri=application.callbacks[0],
        browser_state=STATE,
        salt=value.split(".")[1],
    )


@pytest.mark.spec(DOCUMENT, "2", "S1 session_state is in successful authorization responses")
def test_a_code_comes_with_a_session_state_of_this_browser(on: None) -> None:
    application = make_application()
    client = browser(make_session(make_user(), application))
    client.cookies[settings.BROWSER_STATE_COOKIE_NAME] = STATE
    answer = authorize(client, application)
    assert "code" in answer
    assert answer["session_state"] == expected(application, answer["session_state"])


@pytest.mark.spec(DOCUMENT, "2", "S1 session_state should be in error responses")
def test_an_error_comes_with_a_session_state_too(on: None) -> None:
    application, client = make_application(), browser()
    client.cookies[settings.BROWSER_STATE_COOKIE_NAME] = STATE
    answer = authorize(client, application)
    assert answer["error"] == "login_required"
    assert answer["session_state"] == expected(application, answer["session_state"])


def test_a_browser_without_a_state_gets_one_with_the_answer(on: None) -> None:
    application, client = make_application(), browser()
    authorize(client, application)
    assert client.cookies[settings.BROWSER_STATE_COOKIE_NAME].value


@pytest.mark.spec(DOCUMENT, "2", "S1 no session_state while session management is off")
def test_there_is_none_while_it_is_off() -> None:
    application = make_application()
    client = browser(make_session(make_user(), application))
    assert "session_state" not in authorize(client, application)
    assert settings.BROWSER_STATE_COOKIE_NAME not in client.cookies


@pytest.mark.spec(DOCUMENT, "3.2", "S4 the browser state changes on sign-in and sign-out")
def test_sign_in_and_sign_out_change_the_browser_state(on: None) -> None:
    seen = set()
    for change in (lambda response: binding.set_cookie(response, "new"), binding.clear_cookie):
        response = HttpResponse()
        change(response)
        seen.add(response.cookies[settings.BROWSER_STATE_COOKIE_NAME].value)
    assert len(seen) == 2


@pytest.mark.spec(DOCUMENT, "3.2", "S4 the browser state changes on sign-in and sign-out only")
def test_single_sign_on_does_not_change_the_browser_state(on: None) -> None:
    application = make_application()
    client = browser(make_session(make_user(), application))
    client.cookies[settings.BROWSER_STATE_COOKIE_NAME] = STATE
    authorize(client, application)
    assert client.cookies[settings.BROWSER_STATE_COOKIE_NAME].value == STATE
