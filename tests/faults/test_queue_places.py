"""A worker holds two messages at once: none of them keeps its place for ever, and a queue that stands still is seen.

The queue is Redis or a folder, whatever the database.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any
from unittest.mock import Mock

import pytest
from kombu import Connection
from kombu.transport import filesystem
from redis import Redis

from idp.celery import app as celery
from logout_app import tasks
from logout_app.delivery import tallies
from logout_app.models import DrainReport
from tests.faults.test_poisoned_queue import EXPIRE, NOTHING, envelope, is_ended, overdue_session
from tests.support import hungry, lasting
from tests.support.processes import Installation
from tests.support.receiver import wait_until

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

FOLDERS = {"data_folder_in": "broker", "data_folder_out": "broker", "control_folder": "broker-control"}


def folder_queue(data: Path) -> Connection:
    """What a web server or a beat without Redis writes to."""
    options = {name: str(data / folder) for name, folder in FOLDERS.items()}
    return Connection("filesystem://localhost/", transport_options=options)


@pytest.fixture(params=["redis", "folder"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Installation, Connection]]:
    if request.param == "folder":
        with Installation(tmp_path) as installation, folder_queue(tmp_path / "data") as connection:
            yield installation, connection
        return
    installation = request.getfixturevalue("installation")
    with celery.connection_for_write(request.getfixturevalue("redis")[1]) as connection:
        yield installation, connection


def test_tasks_that_fail_outside_of_their_body_keep_no_place(queue):
    installation, broker = queue
    session, worker = overdue_session(), installation.worker(application="tests.support.hungry")
    for _ in range(4):
        hungry.eat.apply_async(connection=broker)
    tasks.expire_sessions.apply_async(connection=broker)
    wait_until(lambda: is_ended(session), 30, worker.log.name)
    wait_until(lambda: tallies.read().get(("aside", "message")) == 4, 30, worker.log.name)
    assert "too much" in worker.text


def test_tasks_that_take_minutes_leave_a_thread_to_those_that_sessions_wait_for(queue, tmp_path, settings):
    """Four long ones, for four threads: three run, each once, and the fourth when one of them has ended."""
    installation, broker = queue
    session, worker = (
        overdue_session(),
        installation.worker(application="tests.support.lasting", CURFEW_DATA=str(tmp_path / "data")),
    )
    settings.DATA = tmp_path / "data"
    for task in (lasting.TASKS[0], *lasting.TASKS):
        task.apply_async(connection=broker)
    wait_until(lambda: len(began()) == 3, 30, worker.log.name)
    tasks.expire_sessions.apply_async(connection=broker)
    wait_until(lambda: is_ended(session), 30, worker.log.name)
    assert len(began()) == 3
    (lasting.marks() / "over").touch()
    wait_until(lambda: len(began()) == 4, 30, worker.log.name)


def began() -> list[Path]:
    return list(lasting.marks().glob("*.began"))


def test_a_worker_tells_when_it_last_ran_a_task(queue):
    """Its drain reports all the while."""
    installation, broker = queue
    installation.worker(application="tests.support.calendar", REPORT_SECONDS="0.5")
    wait_until(lambda: idle() > 2, 60, "the worker does not tell that nothing runs")
    before = idle()
    tasks.expire_sessions.apply_async(connection=broker)
    wait_until(lambda: idle() < before, 30, "the worker does not tell that a task has run")


def idle() -> float:
    return DrainReport.objects.values_list("idle_for", flat=True).first() or 0.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("broker", "broker-control"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_of_messages_that_are_put_while_others_take_none_is_lost(folder):
    """Large ones, which take a while to write."""
    with ThreadPoolExecutor(2) as pool:
        takers = [pool.submit(take_until_last, folder) for _ in range(2)]
        with folder_queue(folder) as connection:
            for number in range(150):
                connection.default_channel._put("q", {"number": number, "filler": "x" * 2_000_000})
            for _ in takers:
                connection.default_channel._put("q", {"number": None})
        taken = sorted(number for taker in takers for number in taker.result(120))
    assert taken == list(range(150))
    assert not list((folder / "broker").iterdir())


def take_until_last(folder: Path) -> list[int]:
    numbers: list[int] = []
    with folder_queue(folder) as connection:
        while (message := take(connection.default_channel)).get("number", 0) is not None:
            numbers += [message["number"]] if message else []
    return numbers


def take(channel: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = channel._get("q")
    except Empty:
        return {}
    return found


def test_a_message_that_cannot_be_written_leaves_nothing_that_could_be_taken(folder):
    with folder_queue(folder) as connection:
        channel = connection.default_channel
        channel.data_folder_out = str(folder / "gone")
        with pytest.raises(filesystem.ChannelError):
            channel._put("q", {})


def test_what_is_no_file_in_the_queues_folder_is_put_away_once(folder):
    (folder / "broker" / "0.q.msg").mkdir()
    os.mkfifo(folder / "broker" / "1.q.msg")
    (folder / "broker" / "2.q.msg").write_text('{"number": 2}')
    with folder_queue(folder) as connection:
        assert take(connection.default_channel) == {"number": 2}
    assert {path.name for path in (folder / "broker").iterdir()} == {"0.q.msg.aside", "1.q.msg.aside"}
    assert tallies.read()["aside", "message"] == 2


def test_a_file_that_cannot_be_read_for_a_while_waits(folder, monkeypatch):
    """As when there are no descriptors left."""
    (folder / "broker" / "1.q.msg").write_text('{"number": 1}')
    with folder_queue(folder) as connection:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_bytes", Mock(side_effect=OSError(errno.EMFILE, "Too many open files")))
            assert take(connection.default_channel) == {}
        assert take(connection.default_channel) == {"number": 1}


def test_many_envelopes_that_celery_would_believe_leave_both_places_free(installation, redis):
    """More of each than there are places."""
    session, messages = overdue_session(), Redis.from_url(redis[1])
    bodies = [["a", 5, 7], [[], {}, {"callbacks": "x", "errbacks": [1]}], [[], {}, [1]]]
    for body in bodies:
        for _ in range(8):
            messages.lpush("celery", json.dumps(envelope(EXPIRE, body)))
    messages.lpush("celery", json.dumps(envelope(EXPIRE, NOTHING)))
    worker = installation.worker()
    wait_until(lambda: is_ended(session), 30, worker.log.name)
    wait_until(lambda: tallies.read().get(("aside", "message")) == 24, 30, worker.log.name)
    wait_until(lambda: not messages.exists("unacked"), 30, "acknowledged after it was counted")
