"""What happens to deliveries when worker processes die, stop, hang or race. Real processes; ids are those of faults.yaml.

Claims, leases and fences are other statements on each database; what a worker does with a signal, or without the right key,
asks none.
"""

from __future__ import annotations

import re
import signal
import time
from datetime import timedelta

import pytest
import requests
from django.db.models import F
from django.utils import timezone

from idp.crypto import keys
from logout_app.delivery.reports import SILENT
from logout_app.models import DeliveryAttempt, DrainReport, LogoutDelivery
from tests.delivery.conftest import sign_in, sign_out
from tests.faults.conftest import count, reconcile, wait_for_delivered
from tests.support import earlier_release
from tests.support.factories import make_session, make_user
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_worker_killed_during_the_post_is_replaced_and_the_row_is_sent_again(installation, application, receiver):
    """F-W02, F-W04, F-W06."""
    receiver.behave(app="hang:30")
    worker = installation.worker()
    sign_out(sign_in(application()))
    wait_until(lambda: receiver.posts(), 5)
    worker.kill()
    receiver.behave(app="200")
    installation.worker()
    wait_for_delivered(1, 12)  # lease 7 s
    first, second = receiver.tokens()
    assert first["sid"] == second["sid"]
    assert first["jti"] != second["jti"]
    reconcile(receiver, 1)


def test_a_worker_killed_between_post_and_record_sends_again(installation, application, receiver):
    """F-W03: at least once, never not at all."""
    sign_out(sign_in(application()))
    worker = installation.worker(wait=False, CURFEW_FAILPOINT="after_post")
    assert worker.process.wait(20) == -signal.SIGKILL
    assert count("pending") == 1
    installation.worker()
    wait_for_delivered(1, 15)
    assert len({token["jti"] for token in receiver.tokens()}) == 2
    reconcile(receiver, 1)


@pytest.mark.once
@pytest.mark.parametrize("redis_hangs", [False, True])
def test_sigterm_finishes_what_is_in_flight_claims_nothing_more_and_ends_in_time(
    installation, application, receiver, redis, redis_hangs
):
    """F-W05."""
    receiver.behave(app="slow:1.5")
    app = application()
    worker = installation.worker()
    sign_out(*[sign_in(app) for _ in range(8)])
    wait_until(lambda: len(receiver.posts()) == 8, 5)
    if redis_hangs:
        redis[0].send_signal(signal.SIGSTOP)
    worker.process.terminate()
    time.sleep(0.2)
    sign_out(*[sign_in(app) for _ in range(3)])
    worker.process.wait(10)
    assert (count("delivered"), count("pending")) == (8, 3)
    assert len(receiver.posts()) == 8
    reconcile(receiver, 11)


def test_a_worker_that_was_stopped_longer_than_its_lease_overwrites_nothing(installation, application, receiver):
    """The fence: its late result is void, its attempt stays a fact."""
    receiver.behave(app="slow:1")
    stopped = installation.worker()
    sign_out(sign_in(application()))
    wait_until(lambda: receiver.posts(), 5)
    stopped.pause()
    receiver.behave(app="400:no")
    time.sleep(7)
    installation.worker()
    wait_until(lambda: count("dead") == 1, 10)
    finished = LogoutDelivery.objects.get().finished_at
    stopped.resume()
    wait_until(lambda: DeliveryAttempt.objects.count() == 2, 10)
    row = LogoutDelivery.objects.get()
    assert (row.state, row.attempts, row.finished_at) == ("dead", 2, finished)
    reconcile(receiver, 1)


def test_three_workers_on_one_table_send_nothing_twice(installation, application, receiver):
    """F-S03, F-Q04."""
    apps = [application(f"app{n}") for n in range(5)]
    for _ in range(3):
        installation.worker()
    for _ in range(3):
        sign_out(*[sign_in(*apps) for _ in range(20)])
    wait_for_delivered(300)
    assert len(receiver.posts()) == 300
    reconcile(receiver, 300)


def test_servers_and_workers_of_two_releases_understand_each_others_rows(installation, application, receiver):
    """F-W10: 1000 deliveries, half of them planned by each release, told by both."""
    apps = [application(f"app{n}") for n in range(10)]
    receiver.behave(**{f"app{n}": "slow:0.2" for n in range(10)})
    user = make_user()
    sessions = [make_session(user, *apps) for _ in range(100)]
    earlier = installation.start("earlier", ["-m", "tests.support.earlier_release"])
    installation.worker()
    for theirs, ours in zip(sessions[::2], sessions[1::2], strict=True):
        earlier_release.sign_out(theirs.pk, timezone.now())
        sign_out(ours)
    wait_for_delivered(1000, 60)
    assert earlier.process.poll() is None, earlier.text
    recorded = int(re.findall(r"recorded (\d+)", earlier.text)[-1])
    assert 0 < recorded < 1000
    assert len(receiver.posts()) == 1000
    reconcile(receiver, 1000)


def test_workers_killed_again_and_again_lose_nothing(installation, application, receiver):
    """F-D05: kill -9 of everything, three times, then reconcile with the applications' own log."""
    receiver.behave(app0="slow:0.2", app1="slow:0.05")
    apps = [application(f"app{n}") for n in range(4)]
    sign_out(*[sign_in(*apps) for _ in range(60)])
    for wanted in (10, 40, 90):
        worker = installation.worker()
        wait_until(lambda wanted=wanted: len(receiver.posts()) >= wanted, 20)
        worker.kill()
    installation.worker()
    wait_for_delivered(240, 40)
    reconcile(receiver, 240)


@pytest.mark.once
def test_a_worker_that_ends_is_missed(installation, application, receiver):
    """Without a single delivery that waits: nobody has signed out yet. Most of its half minute of silence is over at once."""
    worker = installation.worker()
    installation.web()
    address = f"http://localhost:{installation.port}/readyz"
    wait_until(lambda: DrainReport.objects.exists(), 20)
    assert requests.get(address, timeout=10).json()["drain"] == "ok"
    worker.kill()
    DrainReport.objects.update(seen_at=F("seen_at") - SILENT + timedelta(seconds=3))
    assert requests.get(address, timeout=10).json()["drain"] == "ok"
    wait_until(lambda: "no worker has reported" in requests.get(address, timeout=10).json()["drain"], 60)
    assert requests.get(address, timeout=10).json()["status"] == "degraded"
    installation.worker()
    wait_until(lambda: requests.get(address, timeout=10).json()["drain"] == "ok", 20)


@pytest.mark.once
def test_a_worker_with_the_wrong_encryption_key_refuses_to_start(installation, application, receiver):
    """F-W11."""
    app = application()
    keys.ensure()
    sign_out(sign_in(app))
    wrong = installation.worker(wait=False, CURFEW_ENCRYPTION_KEYS="not-the-key-that-sealed-0123456789")
    assert wrong.process.wait(20) != 0
    assert "CURFEW_ENCRYPTION_KEYS" in wrong.text
    assert LogoutDelivery.objects.get().attempts == 0
    assert receiver.posts() == []
