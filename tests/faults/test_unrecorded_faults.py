"""Answers that cannot be recorded: nobody is asked again for what is known, and operators are told."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
import requests
from django.db import connection

from logout_app.delivery.outbox import ATTEMPTS
from logout_app.models import DeliveryAttempt, DrainReport
from tests.delivery.conftest import sign_in, sign_out
from tests.faults.conftest import reconcile, wait_for_delivered
from tests.support.receiver import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
LEASE = 7.0  # seconds, of workers with the installation's timeout


def another_connection() -> psycopg.Connection:
    known = connection.get_connection_params()
    return psycopg.connect(
        **{name: known[name] for name in ("host", "user", "dbname", "password", "port") if name in known}
    )


@contextlib.contextmanager
def no_attempt_can_be_written() -> Iterator[None]:
    """The lock that CREATE INDEX takes, kept until the end of the block."""
    with another_connection() as other:
        other.execute(f"LOCK TABLE {ATTEMPTS} IN SHARE MODE")
        yield


def test_answers_that_cannot_be_recorded_are_asked_for_once_however_long_it_lasts(installation, application, receiver):
    apps = [application(f"app{number}") for number in range(5)]
    workers = [installation.worker(), installation.worker()]
    installation.web()
    with no_attempt_can_be_written():
        sign_out(*[sign_in(*apps) for _ in range(20)])
        wait_until(lambda: len(receiver.posts()) == 100, 30)
        time.sleep(2.5 * LEASE)
        assert len(receiver.posts()) == 100
        address = f"http://localhost:{installation.port}"
        ready = requests.get(f"{address}/readyz", timeout=10)
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert "results cannot be recorded" in ready.json()["drain"]
        metrics = requests.get(f"{address}/metrics", timeout=10).text
        held, stuck = (value_of(metrics, f"curfew_drain_{name}") for name in ("held", "stuck_seconds"))
        assert held == 100
        assert stuck > LEASE
        assert value_of(metrics, "curfew_drain_workers") == 2
    wait_for_delivered(100)
    assert len(receiver.posts()) == 100
    assert DeliveryAttempt.objects.count() == 100
    wait_until(lambda: not DrainReport.objects.exclude(stuck_for=None).exists(), 15)
    assert all(worker.process.poll() is None for worker in workers)
    reconcile(receiver, 100)


def value_of(metrics: str, name: str) -> float:
    return float(next(line for line in metrics.splitlines() if line.startswith(f"{name} ")).split()[1])


@pytest.mark.skipif(not os.environ.get("TEST_POSTGRES_URL"), reason="the server's connections are not ours to take")
def test_while_every_connection_is_taken_nobody_is_asked_twice(installation, application, receiver):
    receiver.behave(app="slow:1")
    app = application()
    installation.worker()
    sign_out(*[sign_in(app) for _ in range(60)])
    wait_until(lambda: len(receiver.posts()) >= 20, 20)
    with every_connection_taken():
        time.sleep(2.5 * LEASE)
        assert len(receiver.posts()) <= 60
    receiver.behave(app="200")
    wait_for_delivered(60, 60)
    assert len(receiver.posts()) == 60
    reconcile(receiver, 60)


@contextlib.contextmanager
def every_connection_taken() -> Iterator[None]:
    """Of the server; the workers' own are ended and taken too."""
    taken: list[psycopg.Connection] = []
    released = threading.Event()

    def take() -> None:
        while not released.is_set():
            try:
                taken.append(another_connection())
            except psycopg.OperationalError:
                released.wait(0.005)

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    try:
        wait_until(lambda: len(taken) > 50, 30)
        time.sleep(1)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND NOT (pid = ANY(%s))",
                [[one.info.backend_pid for one in list(taken)]],
            )
        yield
    finally:
        released.set()
        for taker in takers:
            taker.join(10)
        for one in taken:
            one.close()
