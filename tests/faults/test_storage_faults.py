"""A database that is full or read-only, a sealing key that is gone, a process killed inside its transaction."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from contextlib import contextmanager, suppress
from datetime import timedelta

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from idp.crypto import keys
from idp.models import SigningKey
from idp.tenants import configuration
from logout_app import tasks
from logout_app.ending import purging
from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.audit.purging import OldLines
from sessions_app.models import SessionEvent, SSOSession
from tests.delivery.conftest import (
    outbound_to_loopback,  # noqa: F401  a fixture
    running,
    sign_in,
    sign_out,
    states,
    wait_for,
)
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.nursery import run_in_bare
from tests.support.processes import database_url
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def read_only():
    postgres = connection.vendor == "postgresql"
    name = "default_transaction_read_only" if postgres else "query_only"
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = on" if postgres else f"PRAGMA {name} = on")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"SET {name} = off" if postgres else f"PRAGMA {name} = off")


@contextmanager
def full():
    """No further page may be added to the file."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # no page is free
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA max_page_count = 1073741823")


def sign_out_by_browser(client, app):
    query = {"client_id": app.client_id, "returnTo": app.allowed_logout_urls[0]}
    return client.get("/v2/logout", query, headers={"accept": "text/html"})


def assert_nothing_was_done_until_the_fault_is_over(fault):
    apps = [make_application(f"app{n}", backchannel_logout_uri=f"http://127.0.0.1:9/{n}") for n in range(60)]
    session = make_session(make_user(), *apps)
    client = browser(session, raise_request_exception=False)
    an_hour_ago = timezone.now() - timedelta(hours=1)
    idle = make_session(
        make_user("idle@fabrikamcorp.com"), last_seen_at=an_hour_ago, idle_expires_at=an_hour_ago + timedelta(hours=72)
    )
    with fault():
        refused = sign_out_by_browser(client, apps[0])
        assert SSOSession.objects.get(pk=session.pk).ended_at is None  # reads go on
        page = browser(idle, raise_request_exception=False).get("/")  # of which a visit is noted at other times
        assert (page.status_code, idle.user.email in page.content.decode()) == (200, True)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert "not signed out" in refused.content.decode()
    assert django_settings.SSO_COOKIE_NAME not in refused.cookies
    assert not LogoutEvent.objects.exists()
    assert sign_out_by_browser(client, apps[0]).status_code < 400
    assert SSOSession.objects.get(pk=session.pk).ended_at is not None
    assert LogoutDelivery.objects.count() == 60


def test_a_read_only_database_ends_no_session_and_says_so():
    """F-P06."""
    assert_nothing_was_done_until_the_fault_is_over(read_only)


@pytest.mark.sqlite  # which lets us limit a running database
def test_a_full_disk_ends_no_session_and_says_so():
    """F-P05, F-S02."""
    assert_nothing_was_done_until_the_fault_is_over(full)


def test_postgresqls_full_disk_is_the_same_kind_of_error():
    """F-P05: Django makes its OperationalError of it, which is answered by 503."""
    assert issubclass(psycopg.errors.DiskFull, psycopg.OperationalError)


@pytest.mark.postgresql  # one connection of SQLite cannot bar the others
def test_a_drain_waits_while_the_database_is_read_only(application, receiver):
    """F-P06."""
    app = application()
    keys.ensure()
    name = connection.settings_dict["NAME"]
    try:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        with running():
            sign_out(sign_in(app))
            time.sleep(1.5)
            assert states() == ["pending"]
            with connection.cursor() as cursor:
                cursor.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
            wait_for("delivered")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    assert len(receiver.posts()) == 1


def test_rows_wait_while_the_sealing_key_is_away(application, receiver, settings):
    """F-K03."""
    settings.DELIVERY_TIMEOUT = 1  # and the lease is six seconds
    app = application()
    keys.ensure()
    right = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = ["an entirely different key of sufficient length 0123456789"]
    configuration.bump()
    with running():
        sign_out(sign_in(app))
        wait_until(lambda: LogoutDelivery.objects.get().attempts > 0)
        time.sleep(0.3)
        assert states() == ["pending"]
        assert receiver.posts() == []
        settings.ENCRYPTION_KEYS = right
        wait_for("delivered")


def test_a_signing_key_cannot_be_removed_by_hand():
    """F-K02: it leaves the published set when no token of it can be valid any more, see `idp.crypto.rotation`."""
    keys.ensure()
    key = SigningKey.objects.filter(status="active").first()
    staff = make_user(is_staff=True, is_superuser=True)
    client = browser(make_session(staff), raise_request_exception=False)
    answer = client.post(f"/admin/idp/signingkey/{key.pk}/delete/", {"post": "yes"})
    assert answer.status_code in (403, 404)
    assert SigningKey.objects.filter(pk=key.pk).exists()


KILLED = """
import os, signal, sys
import django
django.setup()
from django.db import connection
from django.utils import timezone
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions

def kill_at(execute, sql, *arguments):
    global left
    left -= not sql.startswith(("SELECT", "BEGIN", "SAVEPOINT", "RELEASE"))
    result = execute(sql, *arguments)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

left = int(sys.argv[2])
with connection.execute_wrapper(kill_at):
    end_sessions(Selection.sessions([int(sys.argv[1])]), initiator=Initiator.RP_LOGOUT, actor="user",
                 at=timezone.now(), offline_tokens=False)
"""


@pytest.mark.parametrize("statement", [1, 2])
def test_a_process_killed_within_the_door_has_done_nothing(application, statement):
    """F-D04, F-P04: session, tokens and outbox change together or not at all."""
    session = sign_in(application("one"), application("two"))
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "idp.settings",
        "DATABASE_URL": database_url(),
        "SECRET_KEY": django_settings.SECRET_KEY,
    }
    done = run_in_bare(["-c", KILLED, str(session.pk), str(statement)], environment)
    assert done.returncode == -signal.SIGKILL
    assert SSOSession.objects.get(pk=session.pk).ended_at is None
    assert not LogoutEvent.objects.exists()
    assert not LogoutDelivery.objects.exists()
    sign_out(session)
    assert LogoutDelivery.objects.count() == 2


def test_the_purge_of_much_history_keeps_no_sign_out_waiting(application, monkeypatch):
    """F-P10, with fewer rows: what counts is that a batch is short. Each sign-out here has a batch beside it."""
    app, user = make_application(), make_user()
    old = timezone.now() - timedelta(days=400)
    events = (SessionEvent(type="joined", sid=f"old-{number}", at=old) for number in range(40_000))
    SessionEvent.objects.bulk_create(events, batch_size=2000)
    sessions = [make_session(user, app) for _ in range(40)]
    alone = [seconds_of(sign_out, session) for session in sessions[20:]]
    together = threading.Barrier(2)
    known = OldLines.__call__

    def accompanied(act: OldLines) -> int:
        if not together.broken:
            with suppress(threading.BrokenBarrierError):
                together.wait(60)
        return known(act)

    def purge() -> None:
        try:
            tasks.purge_history()
        finally:
            connection.close()

    monkeypatch.setattr(OldLines, "__call__", accompanied)
    thread = threading.Thread(target=purge)
    thread.start()
    times = []
    for session in sessions[:20]:
        together.wait(60)
        times.append(seconds_of(sign_out, session))
    together.abort()
    thread.join()
    assert not purging.failing()
    assert statistics.median(times) < 0.5 + statistics.median(alone)
    assert not SessionEvent.objects.filter(at__lte=old).exists()


def seconds_of(act, *arguments) -> float:
    begun = time.monotonic()
    act(*arguments)
    return time.monotonic() - begun
