"""Consent of applications that are not first-party, remembered per scope."""

import re

import pytest

from sessions_app.models import AuthorizationCode, Consent
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import answer_of, authorize, decode, exchange

pytestmark = pytest.mark.django_db


@pytest.fixture
def app():
    return make_application("Foreign", is_first_party=False)


@pytest.fixture
def client():
    return browser(make_session(make_user()))


def say(client, page, answer):
    carried = re.search(rb'name="request" value="([^"]+)"', page.content).group(1).decode()
    return client.post("/authorize/consent", {"request": carried, "answer": answer})


def test_the_person_is_asked_once(client, app):
    page = authorize(client, app)
    assert page.status_code == 200
    assert b"Allow Foreign?" in page.content
    assert b"Your e-mail address" in page.content
    assert not AuthorizationCode.objects.exists()
    assert "form-action 'self' https://foreign.example" in page.headers["Content-Security-Policy"]
    code = answer_of(say(client, page, "allow"))["code"]
    assert exchange(app, code).status_code == 200
    assert Consent.objects.get().scopes == ["email", "openid", "profile"]
    assert "code" in answer_of(authorize(client, app))
    assert "code" in answer_of(authorize(client, app, prompt="none"))


def test_more_scopes_are_asked_again(client, app):
    say(client, authorize(client, app, scope="openid"), "allow")
    assert authorize(client, app, scope="openid phone").status_code == 200
    assert "code" in answer_of(authorize(client, app, scope="openid"))


def test_no_is_access_denied_and_not_remembered(client, app):
    answer = answer_of(say(client, authorize(client, app), "deny"))
    assert (answer["error"], answer["state"]) == ("access_denied", "the-state")
    assert not Consent.objects.exists()


def test_silently_it_is_consent_required(client, app):
    assert answer_of(authorize(client, app, prompt="none"))["error"] == "consent_required"


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.2.1", "prompt=consent asks")
def test_prompt_consent_asks_even_a_first_party_application(client):
    app = make_application()
    page = authorize(client, app, prompt="consent")
    assert page.status_code == 200
    assert "code" in answer_of(say(client, page, "allow"))
    assert authorize(client, app, prompt="consent").status_code == 200


def test_an_altered_or_foreign_page_begins_again(client, app):
    page = authorize(client, app)
    assert client.post("/authorize/consent", {"request": "x", "answer": "allow"}).status_code == 400
    eve = browser(make_session(make_user("eve@fabrikamcorp.com")))
    assert say(eve, page, "allow").status_code == 200  # asked herself
    assert not Consent.objects.exists()


def test_the_answer_needs_a_csrf_token(app):
    strict = browser(make_session(make_user()), enforce_csrf_checks=True)
    assert say(strict, authorize(strict, app), "allow").status_code == 403


def test_the_claims_parameter_gives_nothing_beyond_the_scopes(client, app):
    page = authorize(client, app, scope="openid", claims='{"id_token": {"email": null}}')
    code = answer_of(say(client, page, "allow"))["code"]
    assert "email" not in decode(exchange(app, code).json()["id_token"])
