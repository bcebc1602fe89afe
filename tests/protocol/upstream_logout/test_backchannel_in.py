"""`POST /backchannel-logout/{connection}`: we are the relying party of OpenID Connect Back-Channel Logout 1.0."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from django.db import connections
from django.test import Client

from idp.models import SpentToken
from logout_app.models import LogoutDelivery, LogoutEvent
from tests.protocol.upstream_logout.conftest import make_person, make_upstream_session
from tests.support.factories import make_application, make_session, make_user
from tests.support.upstreams.scripted_oidc import ABSENT, CLIENT, rsa_key, sign, unsigned

pytestmark = pytest.mark.django_db
DOCUMENT = "OpenID Connect Back-Channel Logout 1.0"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


def claims(provider, **changes):
    now = int(time.time())
    given = {"iss": provider.issuer, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": str(uuid.uuid4())}
    given |= {"events": {EVENT: {}}, "sid": "up-1", **changes}
    return {name: value for name, value in given.items() if value is not ABSENT}


def token(provider, *, key=None, header=None, **changes):
    payload = json.dumps(claims(provider, **changes)).encode()
    return sign(payload, key or provider.keys[0], **{"typ": "logout+jwt", **(header or {})})


def post(logout_token, name="Acme", **more):
    body = urlencode({"logout_token": logout_token, **more})
    return Client().post(f"/backchannel-logout/{name}", body, content_type="application/x-www-form-urlencoded")


def is_live(session):
    session.refresh_from_db()
    return session.ended_at is None


@pytest.mark.spec(
    DOCUMENT, "2.7", "B15 an upstream logout token ends our session and is propagated to its applications"
)
def test_a_session_that_ended_upstream_ends_here_and_its_applications_are_told(provider, session):
    response = post(token(provider))

    assert (response.status_code, response.content) == (200, b"")
    assert response["Cache-Control"] == "no-store"
    session.refresh_from_db()
    assert (session.end_initiator, session.end_actor) == ("idp-logout", "upstream:Acme")
    delivery = LogoutDelivery.objects.get()
    assert (delivery.session_id, delivery.channel, delivery.state) == (session.pk, "backchannel", "pending")


@pytest.mark.spec(DOCUMENT, "2.6", "B14 sid names one session, sub alone every session of the account")
def test_sid_names_one_session_and_sub_every_session_of_the_account(provider, connection, person, session):
    other = make_upstream_session(connection, person, sid="up-2")
    somebody_else = make_upstream_session(connection, make_person(connection, "peter"), sid="up-3")
    namesake = make_session(make_user("mary@fabrikamcorp.com"))

    assert post(token(provider)).status_code == 200
    assert (is_live(session), is_live(other)) == (False, True)

    assert post(token(provider, sid=ABSENT, sub="mary")).status_code == 200
    assert not is_live(other)
    assert is_live(somebody_else)
    assert is_live(namesake)


def test_sid_and_sub_must_both_fit(provider, session):
    assert post(token(provider, sub="peter")).status_code == 200
    assert is_live(session)
    assert post(token(provider, sub="mary")).status_code == 200
    assert not is_live(session)


@pytest.mark.spec(DOCUMENT, "2.7", "A session of the account that no sid is known of may be the one that ended")
def test_a_session_whose_sign_in_brought_no_sid_ends_with_its_account(provider, connection, person, session):
    """Providers whose ID tokens name no session send both in logout tokens all the same (openid-certification/oidctest issue 204)."""
    unnamed = make_upstream_session(connection, person, sid="")
    other = make_upstream_session(connection, person, sid="up-2")
    john = make_upstream_session(connection, make_person(connection, "john"), sid="")
    assert post(token(provider, sid="up-9")).status_code == 200
    assert is_live(unnamed), "a sid alone names the sessions that have it"
    assert post(token(provider, sid="up-9", sub="mary")).status_code == 200
    assert not is_live(unnamed)
    assert [is_live(one) for one in (session, other, john)] == [True, True, True]


@pytest.mark.parametrize("left_out", ["sid", "sub"])
def test_null_says_nothing(provider, session, left_out):
    named = {"sid": "up-1", "sub": "mary", left_out: None}
    assert post(token(provider, **named)).status_code == 200
    assert not is_live(session)


def test_a_token_that_says_null_for_both_names_nobody(provider, session):
    answer = post(token(provider, sid=None, sub=None))
    assert answer.status_code == 400
    assert "neither an account" in answer.json()["error_description"]
    assert is_live(session)


@pytest.mark.spec(DOCUMENT, "2.7", "B14 a session that ended before, or was never here, is a success")
def test_what_ended_before_is_a_success(provider, session):
    assert post(token(provider)).status_code == 200
    assert post(token(provider)).status_code == 200
    assert post(token(provider, sid="never seen")).status_code == 200
    assert LogoutEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"iss": "https://evil.example"}, "from another issuer"),
        ({"iss": ABSENT}, "from another issuer"),
        ({"aud": "somebody else"}, "aud is not our client_id"),
        ({"aud": ABSENT}, "aud is not our client_id"),
        ({"iat": ABSENT}, "iat or exp is missing"),
        ({"iat": "now"}, "iat or exp is missing"),
        ({"iat": time.time() + 3600, "exp": time.time() + 3700}, "from the future"),
        ({"exp": time.time() - 3600}, "expired"),
        ({"iat": time.time() - 3600, "exp": ABSENT}, "expired"),
        ({"iat": time.time() - 3600, "exp": time.time() + 3600}, "expired"),
        ({"events": ABSENT}, "not about a logout"),
        ({"events": {EVENT: None}}, "not about a logout"),
        ({"events": {"http://schemas.example/other": {}}}, "not about a logout"),
        ({"events": [EVENT]}, "not about a logout"),
        ({"nonce": "n"}, "has a nonce"),
        ({"nonce": None}, "has a nonce"),
        ({"jti": ABSENT}, "no jti"),
        ({"jti": "x" * 300}, "no jti"),
        ({"sid": ABSENT}, "neither an account"),
        ({"sid": 7}, "neither an account"),
        ({"sid": ""}, "neither an account"),
        ({"sub": ["mary"]}, "neither an account"),
    ],
)
@pytest.mark.spec(DOCUMENT, "2.6", "B14 every claim of a logout token is checked, any failure is a 400")
def test_a_token_that_is_not_quite_right_ends_nothing(provider, session, changes, says):
    response = post(token(provider, **changes))

    assert response.status_code == 400
    assert response.json()["error"] == "invalid_request"
    assert says in response.json()["error_description"]
    assert response["Cache-Control"] == "no-store"
    assert is_live(session)
    assert not SpentToken.objects.exists()


@pytest.mark.spec(DOCUMENT, "2.6", "B14 signature and algorithm are checked, none is refused")
def test_only_the_upstream_s_own_signature_counts(provider, session):
    good = token(provider)
    forged = [
        token(provider, key=rsa_key("somebody else's")),
        token(provider, key=rsa_key("somebody else's"), header={"kid": "one"}),
        unsigned(claims(provider), typ="logout+jwt"),
        token(provider, header={"typ": "at+jwt"}),
        token(provider, header={"typ": "dpop+jwt"}),
        provider.id_token(sid="up-1"),
        good[:-4] + "AAAA",
        "not a token",
        "a.b.c",
    ]
    for one in forged:
        assert post(one).status_code == 400, one
    assert is_live(session)


def test_older_providers_send_no_typ_and_no_exp(provider, session):
    assert post(token(provider, header={"typ": ABSENT}, exp=ABSENT)).status_code == 200
    assert not is_live(session)


def test_a_token_is_used_once(provider, connection, person, session):
    once = token(provider)
    assert post(once).status_code == 200
    again = make_upstream_session(connection, person)

    response = post(once)

    assert (response.status_code, response.json()["error_description"]) == (400, "The logout token was used before.")
    assert is_live(again)


def test_a_token_is_spent_only_if_the_end_commits(provider, session, monkeypatch):
    once = token(provider)

    def fails(*_, **__):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("logout_app.ending.upstream_end.end_sessions", fails)
        with pytest.raises(RuntimeError):
            post(once)
    assert not SpentToken.objects.exists()
    assert post(once).status_code == 200
    assert not is_live(session)


@pytest.mark.django_db(transaction=True)
def test_the_same_token_at_the_same_time_is_used_once(provider, session):
    once = token(provider)
    post(token(provider, sid="warm the key set up"))

    def send(_):
        try:
            return post(once).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(send, range(4)))
    assert statuses == [200, 400, 400, 400]
    assert LogoutEvent.objects.count() == 1


def test_another_connection_s_sessions_are_untouched(provider, connection, session):
    """The same provider, the same sid: a connection speaks for its own sessions only."""
    connection.pk, connection.public_id, connection.name = None, "con_other", "Other"
    connection.save(force_insert=True)
    assert post(token(provider), name="Other").status_code == 200
    assert is_live(session)


@pytest.mark.parametrize("name", ["Nobody", "FabrikamAD", "Closed", "a b", "%00"])
def test_what_is_no_such_connection_is_not_found(provider, connection, session, name):
    make_application(name="x")
    if name == "Closed":
        connection.name, connection.enabled = "Closed", False
        connection.save()
    response = post(token(provider), name=name)
    assert response.status_code == 404
    assert is_live(session)


def test_a_request_that_is_no_form_with_one_token_is_refused(provider, session):
    good = token(provider)
    client = Client()
    path = "/backchannel-logout/Acme"
    assert client.get(path, {"logout_token": good}).status_code == 405
    assert client.post(path, json.dumps({"logout_token": good}), content_type="application/json").status_code == 415
    assert client.post(path, {"logout_token": [good, good]}).status_code == 415  # multipart
    form = "application/x-www-form-urlencoded"
    assert client.post(path, f"logout_token={good}&logout_token={good}", content_type=form).status_code == 400
    assert client.post(path, "x=1", content_type=form).status_code == 400
    assert client.post(path, f"logout_token={good}%00", content_type=form).status_code == 400
    assert is_live(session)


def test_when_the_keys_cannot_be_had_the_upstream_may_try_again(provider, session):
    provider.statuses["/jwks"] = 500
    response = post(token(provider))
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    assert is_live(session)
    assert not SpentToken.objects.exists()


@pytest.mark.parametrize("path", ["backchannel-logout", "frontchannel-logout", "wsfed"])
@pytest.mark.parametrize("name", ["a%00b", "%ED%A0%80", "n" * 300])
def test_a_name_that_no_connection_can_have_is_not_looked_up(db, path, name):
    """PostgreSQL would refuse the first."""
    client = Client(raise_request_exception=False)
    url = f"/{path}/{name}"
    response = client.post(url) if path == "backchannel-logout" else client.get(url)
    assert response.status_code == 404


def test_times_that_no_clock_shows_are_refused(provider, session):
    """`exp` as a whole number with more digits than a float has room for."""
    for name in ("iat", "exp"):
        assert post(token(provider, **{name: 10**400})).status_code == 400
    assert is_live(session)
