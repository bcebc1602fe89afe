"""prompt=login and max_age can neither be skipped nor loop."""

from datetime import timedelta

import pytest
from django.utils import timezone

from idp.protocol.params import Params
from sessions_app.models import SSOSession
from sessions_app.oauth.authorize import mark
from sessions_app.protocol.authorization import MARKER
from tests.support.factories import PASSWORD, browser, make_session, make_user
from tests.support.oauth import answer_of, authorize, decode, exchange, next_of, request_params

pytestmark = pytest.mark.django_db


@pytest.fixture
def session():
    return make_session(make_user(), auth_time=timezone.now() - timedelta(minutes=10))


def prove_again(session):
    SSOSession.objects.filter(pk=session.pk).update(auth_time=timezone.now())


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.2.1", "prompt=login and max_age ask for authentication again")
@pytest.mark.parametrize(
    "changes", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}, {"max_age": "60"}]
)
def test_a_fresh_proof_is_asked_once_and_is_enough(app, session, changes):
    client = browser(session)
    back = next_of(authorize(client, app, **changes))
    assert next_of(client.get(back)) != ""  # going back without signing in leads to the login page again
    prove_again(session)
    answer = answer_of(client.get(back))
    claims = decode(exchange(app, answer["code"]).json()["id_token"])
    assert claims["auth_time"] >= int(timezone.now().timestamp()) - 5


def test_max_age_that_the_session_still_meets_asks_nothing(app, session):
    assert "code" in answer_of(authorize(session, app, max_age="100000"))
    assert answer_of(authorize(session, app, max_age="60", prompt="none"))["error"] == "login_required"


def test_a_new_session_counts_too(app):
    client = browser()
    back = next_of(authorize(client, app, prompt="login"))
    client.cookies.update(browser(make_session(make_user())).cookies)
    assert "code" in answer_of(client.get(back))


def test_a_marker_of_another_request_browser_or_time_is_worth_nothing(app, session):
    client = browser(session)
    back = next_of(authorize(client, app, prompt="login"))
    prove_again(session)
    assert next_of(client.get(back.replace("state=the-state", "state=another")))
    stranger = browser(session)
    assert next_of(stranger.get(back))
    SSOSession.objects.update(auth_time=timezone.now() - timedelta(minutes=1))
    assert next_of(client.get(back))
    assert next_of(client.get(back.replace(f"{MARKER}=", f"{MARKER}=x")))


def test_a_made_up_marker_is_worth_nothing(app, session):
    params = request_params(app, prompt="login")
    forged = mark(Params(params.items()), "not this browser", timezone.now() - timedelta(hours=2))
    assert next_of(browser(session).get("/authorize", {**params, MARKER: forged}))
    assert next_of(browser(session).get("/authorize", {**params, MARKER: "1"}))


def test_a_marker_expires(app, session):
    import time_machine

    client = browser(session)
    back = next_of(authorize(client, app, prompt="login"))
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=True):
        prove_again(session)
        assert next_of(client.get(back))


def test_the_real_login_page_brings_the_browser_back_with_a_new_auth_time(app, session):
    client = browser(session)
    response = authorize(client, app, prompt="login")
    page = client.get(response.headers["Location"])
    assert page.status_code == 200
    form = {"username": "mary@fabrikamcorp.com", "password": PASSWORD, "next": next_of(response)}
    answer = client.post("/login", form)
    assert answer.status_code == 302, answer.content
    final = client.get(answer.headers["Location"])
    assert "code" in answer_of(final)
    assert SSOSession.objects.filter(ended_at=None).count() == 1
