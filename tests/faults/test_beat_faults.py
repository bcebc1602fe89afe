"""Two schedulers, or a task that is delivered twice: each session ends once, each application is told once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from logout_app import tasks
from logout_app.models import LogoutDelivery
from sessions_app.models import SSOSession
from tests.delivery.conftest import sign_in

pytestmark = pytest.mark.django_db(transaction=True)


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
