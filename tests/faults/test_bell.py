"""The bell beside a real Redis: nobody waits for its answer, and what it answered is heard at the next ring."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

import pytest
import redis as redis_client

from logout_app.delivery import bell
from tests.support.receiver import wait_until

pytestmark = pytest.mark.once


@pytest.fixture
def listener(redis):
    """A subscription to the bell, and its bell."""
    _, url = redis
    with redis_client.Redis.from_url(url).pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(bell.CHANNEL)
        subscription.get_message(timeout=5)
        yield subscription, bell._Bell(url)


def heard(subscription, number: int) -> bool:
    return all(subscription.get_message(timeout=5) for _ in range(number)) and not subscription.get_message(
        timeout=0.05
    )


def test_each_ring_is_heard_once_from_every_thread(listener):
    subscription, ours = listener
    threads = [threading.Thread(target=lambda: [ours.ring() for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard(subscription, 20)


def test_a_connection_that_redis_closed_is_opened_again_for_the_same_ring(redis, listener, caplog):
    subscription, ours = listener
    ours.ring()
    assert heard(subscription, 1)
    redis_client.Redis.from_url(redis[1]).client_kill_filter(_type="normal", skipme=True)
    ours.ring()
    assert heard(subscription, 1)
    assert "logout.bell.failed" not in caplog.text


def test_the_first_ring_after_a_restart_is_heard(redis):
    process, url = redis
    ours = bell._Bell(url)
    ours.ring()
    process.kill()
    process.wait()
    again = subprocess.Popen([*process.args], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(url), 5)
        with redis_client.Redis.from_url(url).pubsub(ignore_subscribe_messages=True) as subscription:
            subscription.subscribe(bell.CHANNEL)
            subscription.get_message(timeout=5)
            ours.ring()
            assert heard(subscription, 1)
    finally:
        again.kill()
        again.wait()


def answers(url: str) -> bool:
    try:
        return bool(redis_client.Redis.from_url(url, retry=None).ping())
    except redis_client.ConnectionError:
        return False


def test_a_redis_that_hangs_is_not_waited_for_and_left_alone_for_a_second(redis, listener, caplog):
    process, _ = redis
    subscription, ours = listener
    ours.ring()
    assert heard(subscription, 1)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        ours.ring()
        assert time.monotonic() - begun < 0.3
        time.sleep(2 * bell.LIMIT)
        ours.ring()
        assert "no answer to PUBLISH" in caplog.text
        caplog.clear()
        ours.ring()
        assert not caplog.text
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert heard(subscription, 1)


def test_what_redis_refuses_is_told_at_the_next_ring(redis, caplog):
    _, url = redis
    redis_client.Redis.from_url(url).execute_command("ACL", "SETUSER", "default", "-publish")
    ours = bell._Bell(url)
    ours.ring()
    time.sleep(bell.LIMIT / 2)
    assert not caplog.text
    ours.ring()
    assert "logout.bell.failed" in caplog.text
    assert "publish" in caplog.text


def test_a_password_that_the_bell_does_not_know_is_told(redis, caplog):
    """redis-py calls it a kind of lost connection; a bell that only opened a new one would be silent for ever."""
    _, url = redis
    client = redis_client.Redis.from_url(url)
    client.config_set("requirepass", "another")
    ours = bell._Bell(url)
    ours.ring()
    time.sleep(bell.LIMIT / 2)
    ours.ring()
    assert "logout.bell.failed" in caplog.text


def test_a_storm_of_rings_whose_answers_are_under_way_is_no_silence():
    """Each answer comes in time, but there is always one that has not come yet."""

    class Busy:
        sent: list[float] = []
        now = 0.0

        def can_read(self):
            return bool(self.sent) and self.sent[0] + 0.012 <= self.now

        def read_response(self):
            self.sent.pop(0)

        def send_packed_command(self, command, check_health=True):
            self.sent.append(self.now)

        def disconnect(self):
            raise AssertionError("hung up")

    connection = Busy()
    line = bell._Line(connection)
    for number in range(100):
        connection.now = number * 0.008
        line.ring(connection.now)
