"""Two schedulers, or a task that is delivered twice: each session ends once, each application is told once."""

from __future__ import annotations

import os
import re
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from logout_app import tasks
from logout_app.models import LogoutDelivery
from sessions_app.models import SessionEvent, SSOSession
from tests.delivery.conftest import sign_in
from tests.faults.conftest import reconcile, wait_for_delivered

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = float(os.environ.get("BEATS_MINUTES", "0.15")) * 60
REAL_CALENDAR = 180.0  # seconds; in less than that a sweep each minute would not show much


def test_four_sweeps_at_once_end_each_session_once(application):
    """F-Q04: two beats, four workers that run what they sent."""
    app = application(backchannel_logout_initiators_mode="all")
    sessions = [sign_in(app) for _ in range(12)]
    SSOSession.objects.update(idle_expires_at=timezone.now() - timedelta(minutes=1))
    failures: list[BaseException] = []

    def sweep() -> None:
        try:
            tasks.expire_sessions()
        except BaseException as error:  # noqa: BLE001  shown by the test's own thread
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert not SSOSession.objects.filter(ended_at=None).exists()
    told = list(LogoutDelivery.objects.values_list("session_id", flat=True))
    assert sorted(told) == sorted(session.pk for session in sessions)


@pytest.mark.postgresql  # on which two do write at the same moment
def test_two_beats_and_their_workers_end_and_tell_each_session_once(installation, application, receiver):
    """F-Q04: two `worker -B`. BEATS_MINUTES says how long; from three minutes on with the product's own calendar."""
    apps = [application(f"app{n}", backchannel_logout_initiators_mode="all") for n in range(3)]
    sweep, pause = (60, 2.0) if SECONDS >= REAL_CALENDAR else (1, 0.2)
    workers = [
        installation.worker(
            *("-B", "-s", str(installation.folder / f"calendar-{n}")),
            application="tests.support.calendar",
            SWEEP_SECONDS=str(sweep),
        )
        for n in range(2)
    ]
    begun, sessions = time.monotonic(), []
    while time.monotonic() - begun < SECONDS:
        sessions.append(sign_in(*apps))
        SSOSession.objects.filter(pk=sessions[-1].pk).update(idle_expires_at=timezone.now())
        time.sleep(pause)
    wait_for_delivered(3 * len(sessions), 90)
    for worker in workers:
        assert len(re.findall("Sending due task expire sessions", worker.text)) >= SECONDS / sweep / 2
    assert SessionEvent.objects.filter(type="ended").count() == len(sessions)
    assert len(receiver.posts()) == 3 * len(sessions)
    reconcile(receiver, 3 * len(sessions))
