"""F-D03: a web server is told to stop while people sign out. Real servers, by what `manage.py web` becomes."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.db import connection, transaction

from logout_app.models import LogoutDelivery
from sessions_app.models import SSOSession
from tests.delivery.conftest import sign_in
from tests.faults.conftest import leave
from tests.support.factories import make_application
from tests.support.processes import Program, free_port, served_at
from tests.support.receiver import is_ready, wait_until

# They write in rows of their own, whatever the database.
pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]
OUT = "https://app.example/out"


@pytest.fixture
def app(receiver):
    return make_application("App", backchannel_logout_uri=receiver.url("app"), post_logout_redirect_uris=OUT)


def start_web(installation, port: int) -> Program:
    program = installation.start("web", served_at(port))
    wait_until(lambda: is_ready(f"http://localhost:{port}/readyz"), 60, program.log.name)
    return program


def sign_out(port: int, app, session: SSOSession) -> int:
    return leave(f"http://localhost:{port}", session.raw_cookie, app.client_id, OUT).status_code


def test_a_server_that_is_told_to_stop_finishes_what_is_in_flight(installation, app):
    port = installation.port
    installation.environment |= {"CURFEW_DATABASE_LOCK_TIMEOUT": "30", "CURFEW_DATABASE_STATEMENT_TIMEOUT": "60"}
    web = start_web(installation, port)
    sessions = [sign_in(app) for _ in range(8)]  # four are in the door, four wait for a thread
    with ThreadPoolExecutor(8) as pool:
        with transaction.atomic():  # they wait for us
            list(SSOSession.objects.select_for_update())
            answers = [pool.submit(sign_out, port, app, session) for session in sessions]
            time.sleep(1)
            web.process.terminate()
            time.sleep(0.5)
            assert not any(answer.done() for answer in answers)
        assert [answer.result() for answer in answers] == [302] * 8
    assert web.process.wait(12) == 0
    assert not SSOSession.objects.filter(ended_at=None).exists()
    assert LogoutDelivery.objects.count() == 8


def test_while_servers_are_replaced_one_after_another_every_sign_out_is_answered_and_done_once(installation, app):
    """The client is a load balancer: where a server does not take the connection, or drops it, it asks the other."""
    ports = [installation.port, free_port()]
    first = start_web(installation, ports[0])
    second = start_web(installation, ports[1])
    replaced = threading.Event()
    answers: list[int] = []

    def sign_in_and_out() -> int:
        number = 0
        while not replaced.wait(0.05):
            session = sign_in(app)
            number += 1
            for port in [*ports] * 20:
                with contextlib.suppress(requests.ConnectionError):
                    answers.append(sign_out(port, app, session))
                    break
        connection.close()
        return number

    with ThreadPoolExecutor(4) as pool:
        threads = [pool.submit(sign_in_and_out) for _ in range(4)]
        try:
            wait_until(lambda: len(answers) > 10)
            assert first.terminate(within=12) == 0
            start_web(installation, ports[0])
            assert second.terminate(within=12) == 0
        finally:
            replaced.set()
        people = sum(thread.result() for thread in threads)
    assert answers == [302] * people
    assert not SSOSession.objects.filter(ended_at=None).exists()
    assert LogoutDelivery.objects.count() == people
