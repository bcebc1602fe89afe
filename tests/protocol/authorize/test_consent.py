"""Consent of applications that are not first-party, remembered per scope."""

import json
import re

import pytest

from sessions_app.models import AuthorizationCode, Consent
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import answer_of, authorize, decode, exchange, userinfo

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


@pytest.mark.spec("OpenID Connect Core 1.0", "5.5", "Claims asked for by name are given when the person allows them")
def test_claims_asked_for_by_name_are_given_after_the_person_allowed_them(client, app):
    say(client, authorize(client, app, scope="openid"), "allow")
    request = {"scope": "openid", "claims": '{"id_token": {"email": null}, "userinfo": {"email": {"essential": true}}}'}
    assert answer_of(authorize(client, app, prompt="none", **request))["error"] == "consent_required"
    page = authorize(client, app, **request)
    assert b"Your e-mail address" in page.content
    answer = exchange(app, answer_of(say(client, page, "allow"))["code"]).json()
    for told in (decode(answer["id_token"]), userinfo(answer["access_token"]).json()):
        assert told["email"] == "mary@fabrikamcorp.com"
        assert not {"email_verified", "name"} & told.keys()
    assert answer["scope"] == "openid"
    assert "code" in answer_of(authorize(client, app, prompt="none", **request))


def test_each_part_of_a_request_that_names_claims_is_asked_about_once(client, app):
    claims = '{"userinfo": {"email": null, "name": null, "birthdate": null, "phone_number": null}}'
    page = authorize(client, app, scope="openid email", claims=claims).content.decode()
    assert [page.count(words) for words in ("e-mail address", "facts of your profile", "phone number")] == [1, 1, 1]
    assert "postal address" not in page


def test_no_to_claims_by_name_is_access_denied(client, app):
    page = authorize(client, app, scope="openid", claims='{"id_token": {"email": null}}')
    assert answer_of(say(client, page, "deny"))["error"] == "access_denied"
    assert not AuthorizationCode.objects.exists()


def test_an_application_of_ours_gets_claims_by_name_without_a_question(client):
    code = answer_of(
        authorize(client, ours := make_application(), scope="openid", claims='{"id_token": {"name": null}}')
    )
    assert decode(exchange(ours, code["code"]).json()["id_token"])["name"]


@pytest.mark.parametrize("name", ["shoe_size", "permissions", "cnf", "org_id"])
def test_claims_that_nobody_gives_are_neither_asked_about_nor_given(client, app, name):
    claims = json.dumps({"id_token": {name: None}, "userinfo": {name: None}})
    page = authorize(client, app, scope="openid", claims=claims)
    assert page.content.count(b"<li>") == 1
    answer = exchange(app, answer_of(say(client, page, "allow"))["code"]).json()
    assert name not in decode(answer["id_token"])
    assert name not in userinfo(answer["access_token"]).json()
