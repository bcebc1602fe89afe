"""Redis refused, hung, emptied, restarted or closed to us: no sign-out is slower, no delivery is lost. Real worker, real Redis.

What the worker reads without a bell is what it reads with one, whatever the database.
"""

from __future__ import annotations

import signal
import subprocess
import time

import pytest
import redis as redis_client

from logout_app.delivery import bell
from tests.delivery.conftest import sign_in, sign_out
from tests.faults.conftest import reconcile, wait_for_delivered

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def fault(redis, settings, tmp_path):
    """Do something to Redis, by name. The test's own bell rings at the same Redis."""
    process, url = redis
    settings.REDIS_URL = url
    started = [process]

    def do(name: str) -> None:
        client = redis_client.Redis.from_url(url)
        if name == "hung":
            process.send_signal(signal.SIGSTOP)
        elif name == "refused":
            process.kill()
            process.wait()
        elif name == "flushed":
            client.flushall()
        elif name == "connections killed":
            client.client_kill_filter(_type="pubsub")
            client.client_kill_filter(_type="normal", skipme=True)
        elif name == "full":
            client.config_set("maxmemory", "1mb")
        elif name == "password":
            client.config_set("requirepass", "changed")
            redis_client.Redis.from_url(url, password="changed").client_kill_filter(_type="pubsub")
        elif name == "back":
            started.append(subprocess.Popen([*process.args], stdout=subprocess.DEVNULL))

    yield do
    for other in started[1:]:
        other.kill()
        other.wait()


@pytest.mark.parametrize("name", ["hung", "refused", "flushed", "connections killed", "full", "password"])
def test_deliveries_go_on_whatever_happens_to_redis(installation, application, receiver, fault, name):
    """F-R02, F-R04, F-R05, F-R07."""
    app = application()
    installation.worker()
    before, after = sign_in(app), [sign_in(app) for _ in range(3)]
    sign_out(before)
    wait_for_delivered(1)
    fault(name)
    begun = time.monotonic()
    bell.ring()
    assert time.monotonic() - begun < 0.3  # 0.2 s of Redis, the rest for a busy machine
    sign_out(*after)
    wait_for_delivered(4, 5)
    reconcile(receiver, 4)


def test_a_redis_that_comes_back_is_heard_again(installation, application, receiver, fault):
    """F-R04: the bell works again after a restart, without a restart of the worker."""
    app = application()
    worker = installation.worker()
    sessions = [sign_in(app) for _ in range(2)]
    fault("refused")
    sign_out(sessions[0])
    wait_for_delivered(1, 5)
    fault("back")
    deadline = time.monotonic() + 20
    while "logout.bell.heard_again" not in worker.text:
        assert time.monotonic() < deadline, "the drain did not subscribe again"
        time.sleep(0.02)
    sign_out(sessions[1])
    wait_for_delivered(2, 5)
    reconcile(receiver, 2)


def test_no_redis_at_all_delivers_by_the_drains_timer(tmp_path, application, receiver):
    """The embedded default: Celery's broker is a folder, the drain looks every 0.2 s."""
    from tests.support.processes import Installation

    with Installation(tmp_path / "embedded", redis_url="") as installation:
        worker = installation.worker()
        sign_out(sign_in(application()))
        wait_for_delivered(1, 5)
        assert worker.terminate(within=10) == 0
    reconcile(receiver, 1)
