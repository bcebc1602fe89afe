"""Requests that are longer than an address should be: an SDK's state of several kilobytes, and what is too long for anybody."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from idp.limits import limiter
from idp.protocol.params import LONGEST_STATE
from sessions_app.models import FlowState
from sessions_app.oauth import long_requests
from sessions_app.protocol.authorization import LONGEST_REQUEST
from sessions_app.session import purge
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import answer_of, authorize, exchange, next_of, request_params
from tests.support.sign_in import csrf_client, sign_in_by_form

pytestmark = pytest.mark.django_db
JSON_STATE = json.dumps({"returnTo": "/" + "reports/ü " * 300, "nonce": "n" * 1500, "quote": '"' * 500})
HEADERS_OF_A_PROXY = 4096  # bytes, nginx with its defaults


def kept():
    return FlowState.objects.filter(kind=FlowState.LONG_REQUEST)


@pytest.fixture
def client():
    return csrf_client()


def size_of(response) -> int:
    lines = [f"{name}: {value}" for name, value in response.headers.items()]
    return sum(len(line) + 2 for line in lines) + sum(len(morsel.output()) for morsel in response.cookies.values())


def test_a_state_of_several_kilobytes_does_not_travel_through_the_login_page(app, client):
    response = authorize(client, app, state=JSON_STATE)
    assert size_of(response) < HEADERS_OF_A_PROXY
    assert kept().count() == 1


def test_it_comes_back_whole_with_the_code_after_a_sign_in(app, client):
    make_user()
    waiting = next_of(authorize(client, app, state=JSON_STATE))
    answer = answer_of(sign_in_by_form(client, next=waiting))
    assert answer["state"] == JSON_STATE
    assert exchange(app, answer["code"]).status_code == 200


def test_a_short_request_is_kept_nowhere(app, client):
    waiting = next_of(authorize(client, app))
    assert dict(parse_qsl(urlsplit(waiting).query))["state"] == "the-state"
    assert not FlowState.objects.exists()


def test_the_login_page_knows_who_waits_and_whom_they_hint_at(app, client):
    make_user()
    response = client.get(authorize(client, app, state=JSON_STATE, login_hint="eve@fabrikamcorp.com")["Location"])
    page = response.content.decode()
    assert f"Sign in to {app.name}" in page
    assert 'value="eve@fabrikamcorp.com"' in page
    assert len(page) < 8000


def test_a_sign_in_that_the_request_forces_is_proved_by_one_that_follows(app, client):
    make_user()
    sign_in_by_form(client)
    waiting = next_of(authorize(client, app, state=JSON_STATE, prompt="login"))
    answer = sign_in_by_form(client, next=waiting)
    if urlsplit(answer["Location"]).path == "/authorize":
        answer = client.get(answer["Location"])
    assert answer_of(answer)["state"] == JSON_STATE


def test_what_a_redirect_cannot_answer_goes_on_at_authorize():
    make_user()
    client, stranger = Client(), make_application("Stranger", is_first_party=False)
    waiting = next_of(authorize(client, stranger, state=JSON_STATE))
    page = client.get(sign_in_by_form(client, next=waiting)["Location"])
    assert "Allow Stranger?" in page.content.decode()
    allowed = client.post("/authorize/consent", {"request": page.context["carried"], "answer": "allow"})
    assert answer_of(allowed)["state"] == JSON_STATE


def test_whoever_gives_up_is_led_back_with_the_state(app, client):
    waiting = next_of(authorize(client, app, state=JSON_STATE))
    answer = answer_of(client.get("/login/cancel", {"next": waiting}))
    assert (answer["error"], answer["state"]) == ("access_denied", JSON_STATE)


def test_a_reference_that_is_too_old_or_invented_says_to_start_again(app, client):
    make_user()
    waiting = next_of(authorize(client, app, state=JSON_STATE))
    with time_machine.travel(timezone.now() + long_requests.LIFETIME + timedelta(seconds=1), tick=True):
        assert client.get("/login", {"next": waiting}).status_code == 200
        old = client.get(waiting)
        assert old.status_code == 400
        assert "Start again at the application." in old.content.decode()
        assert client.get("/login/cancel", {"next": waiting}).status_code == 400
        assert sign_in_by_form(client, next=waiting).headers["Location"] == waiting
    invented = client.get(f"/authorize?{urlencode({'client_id': app.client_id, 'curfew_request': 'x' * 43})}")
    assert invented.status_code == 400


def test_old_ones_are_deleted_as_soon_as_they_are_of_no_use(app, client):
    authorize(client, app, state=JSON_STATE)
    late = timezone.now() + long_requests.LIFETIME + timedelta(minutes=1)
    deleted = sum(act() for _, act in purge.batches(late, 30))
    assert deleted >= 1
    assert not kept().exists()


def test_one_network_may_not_fill_the_table(app, client, monkeypatch):
    monkeypatch.setattr(long_requests, "OF_NETWORK", limiter.Limit("long-requests", 2, 300))
    answers = [authorize(Client(), app, state=JSON_STATE) for _ in range(3)]
    assert [urlsplit(answer["Location"]).path for answer in answers[:2]] == ["/login", "/login"]
    refused = answer_of(answers[2])
    assert (refused["error"], refused["state"]) == ("temporarily_unavailable", JSON_STATE)
    assert kept().count() == 2
    assert urlsplit(authorize(Client(), app)["Location"]).path == "/login"


@pytest.mark.parametrize("signed_in", [False, True])
def test_the_longest_state_is_given_back_and_a_longer_one_is_an_error_that_says_so(app, signed_in):
    client = browser(make_session(make_user())) if signed_in else Client()
    fits = authorize(client, app, state="x" * LONGEST_STATE)
    assert ("code" in answer_of(fits)) is signed_in
    answer = answer_of(authorize(client, app, state="x" * (LONGEST_STATE + 1)))
    assert answer["error"] == "invalid_request"
    assert answer["error_description"] == f"state is longer than {LONGEST_STATE} characters."
    assert "state" not in answer


@pytest.mark.parametrize("signed_in", [False, True])
def test_a_request_that_is_too_long_in_all_is_refused_too(app, signed_in):
    client = browser(make_session(make_user())) if signed_in else Client()
    answer = answer_of(authorize(client, app, invented="y" * LONGEST_REQUEST))
    assert answer["error_description"] == f"The request is longer than {LONGEST_REQUEST} characters."
    assert answer["state"] == "the-state"


def test_a_posted_form_that_is_too_long_is_not_repeated_from_our_own_page(app):
    body = urlencode(request_params(app, state="x" * 900_000))
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = Client().post("/authorize", body, "application/x-www-form-urlencoded", headers=headers)
    assert answer_of(answer)["error"] == "invalid_request"
    assert size_of(answer) < HEADERS_OF_A_PROXY
