"""Two doors at once: exactly one ends a session, and nothing is told twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import timezone

from idp.http.requests import RequestFacts
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.models import SessionEvent
from sessions_app.session import lifecycle
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.management import Api
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(act, times):
    def run(number):
        try:
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(run, range(times)))


def test_fifty_logouts_of_one_session_at_once_are_one_event():
    application = make_application(
        "App",
        client_id="app",
        backchannel_logout_uri="https://a.example/bc",
        post_logout_redirect_uris="https://a.example/",
    )
    session = make_session(make_user(), application)
    statuses = at_once(lambda _: browser(session).get("/v2/logout", {"client_id": "app"}).status_code, 50)
    assert set(statuses) == {302}
    assert LogoutEvent.objects.count() == 1
    assert LogoutDelivery.objects.count() == 1
    assert SessionEvent.objects.filter(type="ended").count() == 1


def test_twenty_deletions_of_one_session_by_the_api_at_once_are_one_event():
    """As at Auth0 a session that is gone already is no error."""
    application = make_application("App", backchannel_logout_uri="https://a.example/bc")
    session, api = make_session(make_user(), application), Api()
    statuses = at_once(lambda _: api.delete(f"sessions/{session.sid}").status_code, 20)
    assert set(statuses) == {202}
    assert LogoutEvent.objects.count() == 1
    assert LogoutDelivery.objects.count() == 1
    assert SessionEvent.objects.filter(type="ended").count() == 1


def test_doors_that_overlap_end_each_session_once_and_never_deadlock():
    application = make_application("App", backchannel_logout_uri="https://a.example/bc")
    user = make_user()
    sessions = [make_session(user, application) for _ in range(12)]

    def door(number):
        selection = (
            Selection.user(user.pk)
            if number % 3 == 0
            else Selection.sessions([s.pk for s in sessions[number % 12 :]])
            if number % 3 == 1
            else Selection.session(sessions[number % 12].pk)
        )
        return end_sessions(
            selection,
            initiator=Initiator.RP_LOGOUT,
            actor="user",
            at=timezone.now(),
            offline_tokens=number % 2 == 0,
        ).session_pks

    ended = [pk for pks in at_once(door, 24) for pk in pks]
    assert sorted(ended) == sorted(session.pk for session in sessions)
    assert LogoutDelivery.objects.count() == 12


@pytest.mark.postgresql
@pytest.mark.parametrize("joins", [["second"], ["second", "first"]], ids=["another", "another, and the first again"])
def test_who_joins_while_the_door_waits_for_them_is_told(joins):
    """The door's one statement began before they committed; the session then looks as it did, or does not."""
    applications = {
        name: make_application(name, client_id=name, backchannel_logout_uri=f"https://{name}.example/bc")
        for name in ("first", "second")
    }
    session = make_session(make_user(), applications["first"])
    lifecycle.join(session, applications["first"], facts=RequestFacts(), at=timezone.now())

    def door():
        try:
            return end_sessions(
                Selection.session(session.pk),
                initiator=Initiator.RP_LOGOUT,
                actor="user",
                at=timezone.now(),
                offline_tokens=False,
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            for name in joins:
                lifecycle.join(session, applications[name], facts=RequestFacts(), at=timezone.now())
            ending = pool.submit(door)
            wait_until(somebody_waits_for_us, 10)
        ended = ending.result(10)
    assert ended.session_pks == [session.pk]
    assert set(LogoutDelivery.objects.values_list("client_id", flat=True)) == {"first", "second"}


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return cursor.fetchone() is not None
