"""PostgreSQL takes the worker's connections away: it comes back by itself and loses nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from django.db import connection

from tests.delivery.conftest import sign_in, sign_out
from tests.faults.conftest import reconcile, wait_for_delivered
from tests.support import postgres
from tests.support.receiver import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]  # SQLite has no connections to lose


def disconnect_everybody_else() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        return cursor.fetchone()[0]


def test_a_worker_that_loses_its_connection_again_and_again_goes_on(installation, application, receiver):
    """F-P04."""
    receiver.behave(app="slow:0.3")
    app = application()
    worker = installation.worker()
    sign_out(*[sign_in(app) for _ in range(60)])
    wait_until(lambda: len(receiver.posts()) >= 5)
    broken = 0
    for _ in range(4):
        broken += disconnect_everybody_else()
        time.sleep(0.6)
    assert broken >= 2
    wait_for_delivered(60, 30)
    assert worker.process.poll() is None
    assert "logout.drain.crashed" not in worker.text
    reconcile(receiver, 60)


@pytest.mark.skipif(not os.environ.get("TEST_POSTGRES_URL"), reason="the server is not ours to restart")
def test_a_restart_of_postgresql_is_waited_for(installation, application, receiver):
    """F-P01: `pg_ctl restart -m fast` while deliveries are in flight."""
    receiver.behave(app="slow:0.3")
    app = application()
    worker = installation.worker()
    sign_out(*[sign_in(app) for _ in range(80)])
    wait_until(lambda: len(receiver.posts()) >= 5)
    connection.close()
    folder = Path("/" + os.environ["TEST_POSTGRES_URL"].partition("@")[2].removesuffix("/postgres").strip("/"))
    log = ["-l", str(folder / "log")]  # or the server would hold our own output open
    postgres.control(folder, *log, "-w", "-m", "fast", "restart")
    wait_for_delivered(80, 30)
    assert worker.process.poll() is None
    assert "logout.drain.crashed" not in worker.text
    reconcile(receiver, 80)
