"""Real threads with real connections: refresh against refresh, and refresh, exchange, introspection against the door."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from idp.protocol.grant_types import DEVICE_CODE as DEVICE
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from sessions_app.models import RefreshTokenFamily
from sessions_app.oauth import tokens
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import (
    answer_of,
    authorize,
    code_for,
    credentials,
    exchange,
    post_form,
    refresh,
    token,
    tokens_for,
    userinfo,
)

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(count, act):
    """Call act(number) in `count` threads that begin together; the results in order."""
    barrier = threading.Barrier(count)

    def run(number):
        barrier.wait()
        try:
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.parametrize("count", [2, 20])
def test_concurrent_refreshes_with_one_token_are_siblings(count):
    app, session = make_application(), make_session(make_user())
    first = tokens_for(session, app)["refresh_token"]
    answers = at_once(count, lambda _: refresh(app, first))
    assert [a.status_code for a in answers] == [200] * count
    siblings = {a.json()["refresh_token"] for a in answers}
    assert len(siblings) == count
    family = RefreshTokenFamily.objects.get()
    assert family.generation == 1
    assert family.tokens.filter(generation=1).count() == count
    assert refresh(app, siblings.pop()).status_code == 200
    assert refresh(app, first).status_code == 400  # two generations back: reuse
    assert RefreshTokenFamily.objects.get().revoke_reason == "reused"


def test_concurrent_exchanges_of_one_code_leave_nothing_alive():
    """Whoever loses proves a replay, and the winner's tokens die."""
    app, session = make_application(), make_session(make_user())
    tokens_for(session, app)
    RefreshTokenFamily.objects.all().delete()
    code = code_for(session, app)
    answers = at_once(4, lambda _: exchange(app, code))
    winners = [a.json() for a in answers if a.status_code == 200]
    assert len(winners) == 1
    assert {a.status_code for a in answers} == {200, 400}
    assert userinfo(winners[0]["access_token"]).status_code == 401
    assert refresh(app, winners[0]["refresh_token"]).status_code == 400


@pytest.mark.parametrize("grant", ["code", "device"])
def test_no_offline_family_is_born_after_the_door(grant, monkeypatch):
    """The door ends this one session, with offline tokens, between the check of the code and what it is exchanged for."""
    app, session = (
        make_application(grant_types=["authorization_code", "refresh_token", DEVICE]),
        make_session(make_user()),
    )
    if grant == "code":
        code = code_for(session, app, scope="openid offline_access")
    else:
        started = post_form("/oauth/device/code", {**credentials(app), "scope": "openid offline_access"}).json()
        browser(session).post("/activate", {"user_code": started["user_code"], "answer": "allow"})
    write = tokens.write

    def late(guard, rows):
        end_sessions(
            Selection.session(session.pk),
            initiator=Initiator.SESSION_REVOKED,
            actor="test",
            at=timezone.now(),
            offline_tokens=True,
        )
        return write(guard, rows)

    monkeypatch.setattr(tokens, "write", late)
    answer = (
        exchange(app, code) if grant == "code" else token(app, grant_type=DEVICE, device_code=started["device_code"])
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert not RefreshTokenFamily.objects.exists()


def test_the_door_sees_every_offline_family_that_was_born_before_it():
    """Exchanges hammer one session while it is ended with its offline tokens; the person themselves is not revoked."""
    app = make_application()
    for turn in range(5):
        session = make_session(make_user(f"{turn}@fabrikamcorp.com"))
        codes = [code_for(session, app, scope="openid offline_access") for _ in range(6)]

        def act(number, session=session, codes=codes):
            if number == 3:
                end_sessions(
                    Selection.session(session.pk),
                    initiator=Initiator.SESSION_REVOKED,
                    actor="test",
                    at=timezone.now(),
                    offline_tokens=True,
                )
                return None
            return exchange(app, codes[number])

        made = [answer.json() for answer in at_once(6, act) if answer is not None and answer.status_code == 200]
        assert not RefreshTokenFamily.objects.filter(session=session, revoked_at=None).exists()
        assert all(refresh(app, body["refresh_token"]).status_code == 400 for body in made)


@pytest.mark.parametrize("offline", [False, True])
def test_nothing_is_alive_after_the_door_whatever_raced_it(offline):
    """Refreshes, exchanges, introspections and silent sign-ins hammer a session while it is ended."""
    app, user = make_application(), make_user()
    session = make_session(user)
    scope = "openid offline_access" if offline else "openid"
    start = [tokens_for(session, app, scope=scope) for _ in range(4)]
    codes = [code_for(session, app, scope=scope) for _ in range(4)]
    made, ended = list(start), threading.Event()

    def hammer(number):
        if number == 0:
            end_sessions(
                Selection.user(user.pk) if offline else Selection.session(session.pk),
                initiator=Initiator.IDP_LOGOUT,
                actor="test",
                at=timezone.now(),
                offline_tokens=offline,
            )
            ended.set()
            return []
        found, current = [], start[number % 4]["refresh_token"]
        for turn in range(5):
            known_ended = ended.is_set()
            if number % 3 == 0 and turn == 0:
                answer = exchange(app, codes[number % 4])
            elif number % 3 == 1:
                answer = refresh(app, current)
            else:
                silent = answer_of(authorize(session, app, scope=scope, prompt="none"))
                answer = exchange(app, silent["code"]) if "code" in silent else None
            if answer is not None:
                assert answer.status_code in (200, 400), answer.content
                assert not (known_ended and answer.status_code == 200), "a success after the door had answered"
                if answer.status_code == 200:
                    found.append(answer.json())
                    current = answer.json().get("refresh_token", current)
        return found

    for found in at_once(8, hammer):
        made += found
    assert ended.is_set()
    for body in made:
        assert userinfo(body["access_token"]).status_code == 401
        for kind in ("access_token", "refresh_token"):
            answer = post_form("/oauth/introspect", {**credentials(app), "token": body[kind]})
            assert answer.json() == {"active": False}
        assert refresh(app, body["refresh_token"]).status_code == 400
    assert answer_of(authorize(session, app, prompt="none"))["error"] == "login_required"
