"""A passkey is offered once, made by whoever proved a moment ago who they are, and the last way in is not taken away."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.test import Client
from django.utils import timezone

from idp.models import User
from sessions_app.models import SecurityMail, SessionEvent
from tests.support.factories import PASSWORD, browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import request_params
from tests.support.second_factors import proved_two
from tests.support.sign_in import session_of
from tests.support.soft_keys import FLAG, VERIFIED, SoftKey, give_passkey

pytestmark = pytest.mark.django_db
OPTIONS = re.compile(r'<script id="passkey-options" type="application/json">(.*?)</script>')
ADD, OFFER = "/account/passkeys/add/", "/account/passkeys/offer/"


@pytest.fixture
def mary() -> User:
    return make_user()


def by_password(client: Client, next: str = "/account/", **fields: str) -> str:
    typed = {"username": "mary@fabrikamcorp.com", "password": PASSWORD, "next": next, "passkeys": "1", **fields}
    return str(client.post("/login", typed)["Location"])


def options(client: Client, path: str = ADD) -> dict[str, Any]:
    found = OPTIONS.search(client.get(path).content.decode())
    assert found
    return dict(json.loads(found[1]))


def make(client: Client, key: SoftKey, *, path: str = ADD, **said: Any) -> Any:
    answer = key.registration(options(client, path)["challenge"], **said)
    return client.post(path, {"credential": json.dumps(answer), "name": "Laptop"})


# --- the offer -----------------------------------------------------------------------------------------------------------
def test_it_comes_between_a_password_and_the_application_and_the_code_after_it(mary: User) -> None:
    app, client = make_application(), Client()
    first = client.get(f"/authorize?{urlencode(request_params(app, prompt='login'))}")["Location"]
    asked = parse_qs(urlsplit(first).query)["next"][0]
    offer = by_password(client, asked)
    assert offer.startswith(OFFER)
    assert session_of(client) is not None
    assert make(client, SoftKey(mary), path=offer).status_code == 200
    assert "code=" in client.get(asked)["Location"]  # which wanted a sign-in, and had one
    assert by_password(Client()).startswith("/account/mfa/authenticate/")  # the passkey is a second factor, too


def test_it_is_not_made_to_whoever_did_not_want_one_has_one_or_cannot_keep_one(mary: User) -> None:
    client = Client()
    assert by_password(client, passkeys="") == "/account/"  # what a browser without a script sends
    offer = by_password(client)
    assert client.post(offer, {"not-now": "1"})["Location"] == "/account/"
    assert by_password(Client()) == "/account/"
    assert client.get(offer)["Location"] == "/account/"
    User.objects.update(passkey_declined_at=None)
    connection = make_connection()
    connection.options = {"passkey_options": {"progressive_enrollment_enabled": False}}
    connection.save()
    assert by_password(Client()) == "/account/"


def test_somebody_with_an_app_is_asked_after_its_code(mary: User) -> None:
    secret, client = generate_totp_secret(), Client()
    TOTP.activate(mary, secret)
    assert by_password(client) == "/account/mfa/authenticate/"
    code = format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))
    answer = client.post("/account/mfa/authenticate/", {"code": code})
    assert answer["Location"] == f"{OFFER}?next=%2Faccount%2F"
    assert make(client, SoftKey(mary), path=answer["Location"]).status_code == 200


def test_it_leads_to_pages_of_ours_only(mary: User) -> None:
    client = browser(make_session(mary))
    assert client.post(OFFER, {"not-now": "1", "next": "https://evil.example/"})["Location"] == "/"


# --- making one ----------------------------------------------------------------------------------------------------------
def test_what_is_asked_for_is_a_key_that_knows_its_person_and_verifies_them(mary: User) -> None:
    held = give_passkey(mary)
    asked = options(browser(proved_two(make_session(mary))))
    assert asked["rp"] == {"id": "localhost", "name": "Curfew"}
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert len(asked["excludeCredentials"]) == 1
    assert held.user == mary


def test_it_gives_recovery_codes_is_audited_and_told_by_mail(mary: User) -> None:
    client = browser(make_session(mary))
    page = make(client, SoftKey(mary)).content.decode()
    assert "It is called \u2068Laptop\u2069." in page or "Laptop" in page
    assert page.count("<li><code>") == 10
    added = SessionEvent.objects.filter(type="second_factor_added").order_by("pk")
    assert [line.data["factor"] for line in added] == ["webauthn", "recovery_codes"]
    assert SecurityMail.objects.get().data["factor"] == "a security key or passkey"
    session = session_of(client)
    assert session is not None
    assert [method["name"] for method in session.amr] == ["pwd", "mfa", "hwk"]


@pytest.mark.parametrize(
    "said", [{"flags": FLAG.UP}, {"origin": "https://evil.example"}, {"cross_origin": True}, {"type": "webauthn.get"}]
)
def test_what_does_not_answer_it_is_not_kept(mary: User, said: dict[str, Any]) -> None:
    answer = make(browser(make_session(mary)), SoftKey(mary), **said)
    assert answer.status_code == 400
    assert "the passkey was not kept" in answer.content.decode()
    assert not Authenticator.objects.exists()


def test_a_challenge_of_another_session_and_a_key_of_somebody_else_are_not_kept(mary: User) -> None:
    bob = make_user("bob@fabrikamcorp.com")
    theirs = options(browser(make_session(bob)))["challenge"]
    client = browser(make_session(mary))
    options(client)
    answer = SoftKey(mary).registration(theirs)
    assert client.post(ADD, {"credential": json.dumps(answer)}).status_code == 400
    held = give_passkey(bob)
    assert make(client, SoftKey(mary, id=held.id)).status_code == 400
    assert client.post(ADD, {"credential": "{"}).status_code == 400
    assert not Authenticator.objects.filter(user=mary).exists()


def test_it_takes_a_fresh_proof_and_the_second_factor_of_who_has_one(mary: User) -> None:
    old = browser(make_session(mary, auth_time=timezone.now() - timedelta(minutes=6)))
    assert old.get(ADD)["Location"].startswith("/account/reauthenticate/")
    assert old.post(ADD, {"credential": "{}"}).status_code == 400  # it took a while to make; looked at, and no passkey
    TOTP.activate(mary, generate_totp_secret())
    for method in ("get", "post"):
        answer = getattr(browser(make_session(mary)), method)(ADD, {"credential": "{}"})
        assert answer["Location"].startswith("/login/step-up")


def test_people_who_sign_in_elsewhere_have_no_use_for_one(mary: User) -> None:
    mary.identities.update(connection=make_connection("Partner", "oidc"))
    client = browser(make_session(mary))
    assert client.get(ADD).status_code == 403
    for path in ("/account/mfa/", "/account/mfa/webauthn/"):
        assert ADD not in client.get(path).content.decode()


# --- taking one away -----------------------------------------------------------------------------------------------------
def remove(client: Client, key: SoftKey) -> Any:
    pk = next(row.pk for row in Authenticator.objects.all() if row.data["credential"]["rawId"] == _id(key))
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    return client.post(f"/account/mfa/webauthn/keys/{pk}/remove/")


def _id(key: SoftKey) -> str:
    return str(key.registration("AAAA", flags=VERIFIED)["rawId"])


def test_the_last_way_in_stays(mary: User) -> None:
    first, second = give_passkey(mary), give_passkey(mary)
    client = browser(proved_two(make_session(mary)))
    assert remove(client, first)["Location"] == "/account/mfa/webauthn/"
    User.objects.filter(pk=mary.pk).update(password="!")
    answer = remove(client, second)
    assert answer.status_code == 403
    assert "This is your only way to sign in" in answer.content.decode()
    assert Authenticator.objects.filter(type="webauthn").count() == 1


def test_a_key_of_somebody_else_is_not_found(mary: User) -> None:
    pk = Authenticator.objects.get(user=give_passkey(make_user("bob@fabrikamcorp.com")).user).pk
    assert browser(make_session(mary)).post(f"/account/mfa/webauthn/keys/{pk}/remove/").status_code == 404


ODD = (
    r'{"id": "\ud800"}',
    r'{"id": "\u0000"}',
    '{"id": 1, "id": 2}',
    "[" * 100,
    "1",
    "null",
    f'{{"id": "{"a" * 40_000}"}}',
)


@pytest.mark.parametrize("answer", ODD)
def test_an_answer_that_cannot_be_kept_or_shown_is_a_wrong_one(mary: User, answer: str) -> None:
    client = browser(make_session(mary))
    client.post("/account/reauthenticate/", {"password": PASSWORD, "next": "/account/mfa/"})
    assert client.post("/account/mfa/webauthn/add/", {"name": "Key", "credential": answer}).status_code == 200
    give_passkey(mary)
    waiting = Client()
    by_password(waiting)
    assert waiting.post("/account/mfa/authenticate/", {"credential": answer}).status_code == 200
    again = f"/account/mfa/webauthn/reauthenticate/?{urlencode({'next': ADD})}"
    answered = client.post(again, {"credential": answer})
    assert answered["Location"] == again
    assert "Incorrect code" in client.get(again).content.decode()
