"""A database that makes people wait: rows that somebody holds, a server that says nothing, a primary that became read-only."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

import psycopg
import pytest
import requests
from django.conf import settings
from django.db import connection

from idp.http.serving import limits
from logout_app.models import LogoutEvent
from sessions_app.models import SSOSession
from tests.faults.conftest import leave
from tests.support.factories import make_application, make_session, make_user
from tests.support.processes import Installation
from tests.support.receiver import is_ready, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
OUT = "https://app.example.com/out"
Timed = tuple[requests.Response, float]


@pytest.fixture
def web(installation: Installation) -> Installation:
    installation.put_static_files()
    installation.web()
    return installation


@pytest.fixture
def people():
    application = make_application("App", post_logout_redirect_uris=OUT)
    return application, [make_session(make_user(f"p{number}@fabrikamcorp.com"), application) for number in range(8)]


def somebody_else(**options: object) -> psycopg.Connection:
    given = connection.settings_dict
    named = {"host": given["HOST"], "port": given["PORT"] or None, "user": given["USER"], "dbname": given["NAME"]}
    return psycopg.connect(**named, password=given["PASSWORD"] or None, **options)


def sign_out(web: Installation, application, session) -> Timed:
    began = time.monotonic()
    answer = leave(f"http://localhost:{web.port}", session.raw_cookie, application.client_id, OUT)
    return answer, time.monotonic() - began


def alive(web: Installation) -> float:
    """Seconds that /livez takes."""
    began = time.monotonic()
    assert requests.get(f"http://localhost:{web.port}/livez", timeout=20).status_code == 200
    return time.monotonic() - began


@contextmanager
def held(statement: str, *values: object) -> Iterator[None]:
    """Another transaction has locked something, and takes its time."""
    with somebody_else() as other:
        other.execute(statement, values)
        yield
        other.rollback()


def results(futures: list[Future[Timed]]) -> tuple[list[int], float]:
    found = [future.result() for future in futures]
    return [answer.status_code for answer, _ in found], max(seconds for _, seconds in found)


def test_a_hundred_sign_outs_of_a_locked_session_keep_nobody_else_waiting_and_end_nothing(web, people):
    application, (mary, *others) = people
    table = SSOSession._meta.db_table
    with held(f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE", mary.pk), ThreadPoolExecutor(120) as pool:
        waiting = [pool.submit(sign_out, web, application, mary) for _ in range(100)]
        time.sleep(0.3)
        probes = [pool.submit(alive, web) for _ in range(3)]
        quick = [pool.submit(sign_out, web, application, other) for other in others]
        assert max(probe.result() for probe in probes) < 5
        statuses, longest = results(quick)
        assert statuses == [302] * len(others)
        assert longest < 6
        statuses, longest = results(waiting)
    assert statuses == [503] * 100
    assert longest < 3 * limits.WAITS
    mary.refresh_from_db()
    assert mary.ended_at is None
    assert LogoutEvent.objects.count() == len(others)
    answer, _ = sign_out(web, application, mary)
    assert answer.status_code == 302


def test_a_sign_out_that_waits_for_a_lock_says_that_nobody_is_signed_out(web, people):
    application, (mary, *_) = people
    with held(f"SELECT 1 FROM {SSOSession._meta.db_table} WHERE id = %s FOR UPDATE", mary.pk):
        answer = requests.get(
            f"http://localhost:{web.port}/v2/logout",
            params={"client_id": application.client_id, "returnTo": OUT},
            cookies={settings.SSO_COOKIE_NAME: mary.raw_cookie},
            headers={"Accept": "text/html"},
            allow_redirects=False,
            timeout=20,
        )
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "you are not signed out" in answer.text
    assert settings.SSO_COOKIE_NAME not in answer.cookies


@pytest.fixture
def postgres() -> list[int]:
    """The processes of the server and of everybody's connections."""
    if not os.environ.get("TEST_POSTGRES_URL"):
        pytest.skip("the server is not ours to stop")
    folder = Path("/" + os.environ["TEST_POSTGRES_URL"].partition("@")[2].removesuffix("/postgres").strip("/"))
    return [int((folder / "postmaster.pid").read_text().splitlines()[0])]


@contextmanager
def stopped(parent: int) -> Iterator[None]:
    """The server first: then it starts nobody, and a helper that had ended just now is still there to be counted."""
    pids: list[int] = []
    try:
        for pid in chain([parent], children(parent)):
            send(pid, signal.SIGSTOP)
            pids.append(pid)
        yield
    finally:
        for pid in pids:
            send(pid, signal.SIGCONT)


def children(parent: int) -> Iterator[int]:
    """Read when the parent stands still."""
    yield from map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # one of PostgreSQL's helpers, which come and go
        os.kill(pid, number)


def test_while_postgresql_says_nothing_people_are_told_in_time_and_it_recovers_by_itself(web, people, postgres):
    application, (mary, bob, *others) = people
    assert sign_out(web, application, bob)[0].status_code == 302  # there are connections that are kept
    connection.close()
    with ThreadPoolExecutor(20) as pool:
        with stopped(postgres[0]):
            waiting = [pool.submit(sign_out, web, application, mary) for _ in range(10)]
            time.sleep(0.5)
            assert alive(web) < 8
            statuses, longest = results(waiting)
            assert set(statuses) == {503}
            assert longest < 12
            again = [pool.submit(sign_out, web, application, mary) for _ in range(10)]
            statuses, longest = results(again)
            assert set(statuses) == {503}
            assert longest < 8
            assert alive(web) < 3
        wait_until(lambda: is_ready(f"http://localhost:{web.port}/readyz"), 20, "it does not recover")
        assert [sign_out(web, application, one)[0].status_code for one in others] == [302] * len(others)
    assert len(web.programs) == 1  # nothing was started again


def test_what_a_silent_database_did_is_not_claimed_to_be_known(web, people, postgres):
    application, (mary, *_) = people
    connect_all_threads(web)
    connection.close()
    with stopped(postgres[0]):
        answer, _ = sign_out(web, application, mary)
    assert answer.status_code == 503
    assert "cannot say whether it was done" in answer.json()["error_description"]


def test_a_read_only_primary_costs_one_request_and_not_ten_minutes(web, people):
    """Kept connections lead to a server that takes no writes since a failover; new ones would not."""
    application, sessions = people
    connect_all_threads(web)
    make_kept_connections_read_only()
    statuses = [sign_out(web, application, session)[0].status_code for session in sessions]
    assert statuses.count(503) <= 1
    assert statuses[1:] == [302] * (len(sessions) - 1)


def connect_all_threads(web: Installation) -> None:
    """A connection for each thread of the server, kept."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: requests.get(f"http://localhost:{web.port}/readyz", timeout=20), range(32)))


def make_kept_connections_read_only() -> None:
    """What a failover behind one name does to those who stay: `default_transaction_read_only` is read by new sessions
    only, so the running ones are told by their configuration file's reload, which new ones then do not see."""
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off')
        cursor.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        cursor.execute("SELECT pg_reload_conf()")


@pytest.fixture(autouse=True)
def writable_again() -> Iterator[None]:
    yield
    with somebody_else(autocommit=True) as other:
        other.execute("ALTER SYSTEM RESET default_transaction_read_only")
        other.execute("SELECT pg_reload_conf()")
        other.execute(f'ALTER DATABASE "{connection.settings_dict["NAME"]}" RESET default_transaction_read_only')
