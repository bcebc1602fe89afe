"""A second factor that is proved where people signed in: who is asked for it, and what the answer is worth."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from idp.connections.contract import Account, UpstreamFault, UpstreamUnmet
from idp.models import Connection
from idp.tenants import configuration
from sessions_app.models import SSOSession
from tests.protocol.authorize.test_step_up import path_of, with_totp
from tests.support.factories import make_application
from tests.support.oauth import answer_of, authorize, credentials, decode, exchange, post_form, request_params
from tests.support.sign_in import session_of
from tests.support.upstream import come_back, sign_in, state_of

pytestmark = pytest.mark.django_db
CORE = "OpenID Connect Core 1.0"
WISH = {"acr_values": "multi-factor"}
ESSENTIAL = {"claims": json.dumps({"id_token": {"acr": {"essential": True, "values": ["multi-factor"]}}})}
TWO = Account(sub="00u1", email="mary@acme.example", has_proved_several=True)
either = pytest.mark.parametrize("wish", [WISH, ESSENTIAL], ids=["acr_values", "essential"])


@pytest.fixture(autouse=True)
def _the_connection_trusts(acme) -> None:
    Connection.objects.update(options={"trust_upstream_mfa": True})


@pytest.fixture
def client(acme) -> Client:
    """Mary, who signed in upstream an hour ago, with one factor."""
    client = Client()
    sign_in(client)
    SSOSession.objects.update(auth_time=timezone.now() - timedelta(hours=1))
    acme.wishes.clear()
    return client


def follow(client: Client, response: HttpResponse) -> HttpResponse:
    return client.get(response.headers["Location"])


def claims_of(app, response: HttpResponse) -> dict:
    return decode(exchange(app, answer_of(response)["code"]).json()["id_token"])


def there_and_back(client: Client, response: HttpResponse) -> HttpResponse:
    """From the step-up through the upstream to where that leads."""
    assert path_of(response) == "/login/step-up", response.headers["Location"]
    return follow(client, come_back(client, state_of(follow(client, response))))


@either
@pytest.mark.spec(CORE, "3.1.2.1", "acr_values of an application reach the identity provider behind the session")
def test_the_upstream_is_asked_in_the_session_that_there_is(acme, client, app, wish):
    before = session_of(client)
    acme.account = TWO
    claims = claims_of(app, there_and_back(client, authorize(client, app, **wish)))
    assert (claims["acr"], claims["sid"]) == ("multi-factor", before.sid)
    assert {"federated", "mfa"} <= set(claims["amr"])
    (asked,) = acme.wishes
    assert (asked.two_factors, asked.force) == (True, False)
    assert session_of(client).cookie_hash != before.cookie_hash


def test_what_was_proved_there_before_is_no_fresh_proof_here(acme, client, app):
    """Neither for `auth_time` nor for what somebody may do to their own account."""
    before = with_totp(session_of(client))
    acme.account = TWO
    answer = there_and_back(client, authorize(client, app, **WISH))
    assert claims_of(app, answer)["auth_time"] == int(before.auth_time.timestamp())
    assert path_of(client.get("/account/mfa/webauthn/add/")).endswith("/reauthenticate/")


@pytest.mark.parametrize("hours", [2, 0.25, -1])
def test_auth_time_is_what_the_upstream_says_within_what_can_be(acme, client, app, hours):
    before, now = session_of(client).auth_time, timezone.now()
    acme.account = Account(sub="00u1", has_proved_several=True, auth_time=now - timedelta(hours=hours))
    there_and_back(client, authorize(client, app, **WISH))
    wanted = max(before, min(now, acme.account.auth_time))
    assert abs(session_of(client).auth_time - wanted) < timedelta(seconds=30)


def test_a_wish_that_the_upstream_does_not_meet_is_no_reason_to_fail(acme, client, app):
    assert claims_of(app, there_and_back(client, authorize(client, app, **WISH)))["acr"] == "1"
    assert len(acme.wishes) == 1


@either
def test_what_the_upstream_does_not_prove_is_proved_here_by_whoever_can(acme, client, app, wish):
    with_totp(session_of(client))
    here = there_and_back(client, authorize(client, app, **wish))
    assert path_of(here) == "/login/step-up"
    assert path_of(follow(client, here)) == "/account/mfa/reauthenticate/"
    assert len(acme.wishes) == 1


def test_who_has_none_there_sets_one_up_here(acme, client, app):
    here = there_and_back(client, authorize(client, app, **ESSENTIAL))
    assert "JWT Debugger" in follow(client, here).content.decode()
    assert len(acme.wishes) == 1


@either
def test_a_connection_that_is_not_trusted_is_not_asked(acme, client, app, wish):
    Connection.objects.update(options={})
    with_totp(session_of(client))
    acme.account = TWO
    here = follow(client, authorize(client, app, **wish))
    assert path_of(here) == "/account/mfa/reauthenticate/"
    assert not acme.wishes
    assert path_of(client.get("/login/step-up", {"there": "1", "next": "/account/sessions"})).startswith("/account/mfa")


def test_a_silent_request_asks_nobody(acme, client, app):
    assert answer_of(authorize(client, app, prompt="none", **WISH))["error"] == "unmet_authentication_requirements"
    assert not acme.wishes


@either
def test_a_sign_in_asks_for_what_the_application_wants(acme, app, wish):
    acme.account, client = TWO, Client()
    onward = come_back(client, _signing_in(client, authorize(client, app, **wish)))
    assert claims_of(app, follow(client, onward))["acr"] == "multi-factor"
    assert [asked.two_factors for asked in acme.wishes] == [True]


@pytest.mark.parametrize("where", ["tenant", "application", "connection", "default_acr_values"])
def test_a_sign_in_asks_for_what_is_required(acme, where):
    app = make_application(
        require_mfa=where == "application",
        default_acr_values=["multi-factor"] if where == "default_acr_values" else [],
    )
    if where == "tenant":
        row = configuration.load_tenant()
        row.require_mfa = True
        row.save()
    if where == "connection":
        row = Connection.objects.get()
        row.options["require_mfa"] = True
        row.save()
    acme.account, client = TWO, Client()
    onward = come_back(client, _signing_in(client, authorize(client, app)))
    assert "code" in answer_of(follow(client, onward))
    assert [asked.two_factors for asked in acme.wishes] == [True]


def test_a_sign_in_that_nobody_wants_more_of_asks_for_nothing(acme, app):
    client = Client()
    for wish in ({}, {"acr_values": "1 2"}, {"claims": "{no json"}):
        _signing_in(client, authorize(client, app, **wish) if "claims" not in wish else _to_login(app, wish))
    assert [asked.two_factors for asked in acme.wishes] == [False] * 3


@either
def test_a_sign_in_with_one_factor_is_not_sent_there_twice(acme, app, wish):
    client = Client()
    onward = come_back(client, _signing_in(client, authorize(client, app, **wish)))
    answer = follow(client, onward)
    assert len(acme.wishes) == 1
    if wish == WISH:
        assert claims_of(app, answer)["acr"] == "1"
    else:
        assert "JWT Debugger" in follow(client, answer).content.decode()
        assert len(acme.wishes) == 1


def test_an_upstream_that_cannot_is_asked_for_less_at_a_sign_in(acme, app):
    client = Client()
    state = _signing_in(client, authorize(client, app, **WISH))
    acme.error = UpstreamUnmet("you cannot be identified in the way that was asked for.")
    again = come_back(client, state)
    assert [(asked.two_factors, asked.acr_values) for asked in acme.wishes] == [(True, "multi-factor"), (False, "")]
    acme.error = None
    onward = come_back(client, state_of(again))
    assert claims_of(app, follow(client, onward))["acr"] == "1"


def test_an_upstream_that_can_do_nothing_at_all_is_not_asked_for_ever(acme, app):
    client = Client()
    state = _signing_in(client, authorize(client, app, **WISH))
    acme.error = UpstreamUnmet("you cannot be identified in the way that was asked for.")
    assert come_back(client, state_of(come_back(client, state))).status_code == 403


@either
def test_an_upstream_that_cannot_leaves_it_to_ours_at_a_step_up(acme, client, app, wish):
    with_totp(session_of(client))
    acme.error = UpstreamUnmet("no")
    here = there_and_back(client, authorize(client, app, **wish))
    assert path_of(follow(client, here)) == "/account/mfa/reauthenticate/"


@pytest.mark.parametrize("how", ["departing", "silent"])
def test_an_upstream_that_does_not_answer_leaves_it_to_ours(acme, client, app, how):
    with_totp(session_of(client))
    if how == "silent":
        Connection.objects.update(silent_since=timezone.now())
    acme.departing = UpstreamFault("down", silent=True)
    assert path_of(follow(client, authorize(client, app, **ESSENTIAL))) == "/account/mfa/reauthenticate/"


def test_another_account_proves_nothing_for_this_one(acme, client, app):
    acme.account = Account(sub="00u2", has_proved_several=True)
    before = session_of(client)
    page = come_back(client, state_of(follow(client, authorize(client, app, **WISH))))
    assert page.status_code == 403
    assert "another account" in page.content.decode()
    assert session_of(client).amr == before.amr


def test_nobody_signs_in_by_a_step_up(acme, client, app):
    state = state_of(follow(client, authorize(client, app, **WISH)))
    client.get("/v2/logout")
    acme.account = TWO
    assert come_back(client, state).status_code == 403
    assert session_of(client) is None


def test_a_long_request_asks_once_too(acme, client, app):
    here = there_and_back(client, authorize(client, app, state="s" * 4000, **ESSENTIAL))
    assert path_of(here) == "/login/step-up"
    assert "JWT Debugger" in follow(client, here).content.decode()
    assert len(acme.wishes) == 1


def test_a_pushed_request_asks_once_and_is_answered(acme, client, app):
    pushed = post_form("/oauth/par", {**request_params(app, **ESSENTIAL), **credentials(app)}).json()
    query = {"client_id": app.client_id, "request_uri": pushed["request_uri"]}
    acme.account = TWO
    assert claims_of(app, there_and_back(client, client.get("/authorize", query)))["acr"] == "multi-factor"


@pytest.mark.parametrize("several", [True, False])
def test_the_admin_asks_once(acme, client, several):
    row = configuration.load_tenant()
    row.require_mfa = True
    row.save()
    user = session_of(client).user
    user.is_staff = user.is_superuser = True
    user.save()
    acme.account = Account(sub="00u1", has_proved_several=several)
    back = there_and_back(client, client.get("/admin/"))
    assert len(acme.wishes) == 1
    if several:
        assert back.headers["Location"] == "/admin/"
        assert follow(client, back).status_code == 200
    else:
        assert back.status_code == 200
        assert "second" in back.content.decode()


def _to_login(app, wish: dict) -> HttpResponse:
    """A request that /authorize would refuse: the login page does not fail for it."""
    response = HttpResponse(status=302)
    onward = f"/authorize?{urlencode(request_params(app, **wish))}"
    response.headers["Location"] = f"/login?{urlencode({'next': onward})}"
    return response


def _signing_in(client: Client, to_login: HttpResponse) -> str:
    """The state of a departure to Acme, from the redirect to the login page."""
    onward = parse_qs(urlsplit(to_login.headers["Location"]).query)["next"][0]
    return state_of(client.get("/login/upstream/Acme", {"next": onward}))
