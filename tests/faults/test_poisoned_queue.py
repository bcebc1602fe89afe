"""What no program can read in Celery's queue ends no worker, and what comes after it is done.

The queue is Redis or a folder, whatever the database.
"""

from __future__ import annotations

import base64
import json
import zlib
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from redis import Redis

from logout_app.delivery import tallies
from sessions_app.models import SSOSession
from tests.delivery.conftest import sign_in
from tests.support.processes import Installation, Program
from tests.support.receiver import wait_until

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


def envelope(task: object, body: object, **headers: object) -> dict[str, object]:
    delivery = {"exchange": "", "routing_key": "celery"}
    return {
        "body": base64.b64encode(body if isinstance(body, bytes) else json.dumps(body).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": task, "id": "1", "lang": "py", **headers},
        "properties": {
            "body_encoding": "base64",
            "correlation_id": "1",
            "delivery_info": delivery,
            "delivery_tag": "tag",
            "delivery_mode": 2,
            "priority": 0,
        },
    }


EXPIRE = "logout_app.tasks.expire_sessions"
NOTHING = [[], {}, {}]
UNREADABLE = [
    "this is not JSON",
    b"\xff\xfe\x00",
    "null",
    "[1, 2]",
    '"text"',
    "{}",
    '{"properties": null}',
    '{"properties": {"delivery_tag": "x"}}',
    '{"properties": {"delivery_tag": ["x"], "delivery_info": {"exchange": "", "routing_key": "celery"}}}',
    json.dumps(envelope(EXPIRE, NOTHING)).replace("base64", "base4711"),
    "[" * 100_000,
    json.dumps(envelope(EXPIRE, [1])),
    json.dumps(envelope(EXPIRE, NOTHING, timelimit=5)),
    json.dumps(envelope(EXPIRE, b"\x00 not JSON")),
    json.dumps(envelope(EXPIRE, b"[" * 200_000)),
    json.dumps(envelope(None, NOTHING)),
]
FOREIGN = [  # Celery would believe them, and they would keep a place of the two that a worker has, or ask for more work
    json.dumps(envelope(EXPIRE, NOTHING, eta="yesterday")),
    json.dumps(envelope(EXPIRE, NOTHING, eta="9999-12-31T23:59:59+00:00")),
    json.dumps(envelope(EXPIRE, NOTHING, timelimit=[-1, -1])),
    json.dumps(envelope(EXPIRE, zlib.compress(b"[" * 5_000_000), compression="application/x-gzip")),
    json.dumps(envelope(EXPIRE, [None, None, None])),
    json.dumps(envelope(EXPIRE, ["a", 5, 7])),
    json.dumps(envelope(EXPIRE, [[], {}, {"callbacks": "x", "errbacks": [1], "chain": 5, "chord": "y"}])),
    json.dumps(envelope(EXPIRE, [[], {}, [1]])),
    json.dumps(envelope(EXPIRE, [[], {}, {"chain": [{"task": EXPIRE}]}])),
    json.dumps(envelope(EXPIRE, [[], {}, {"errbacks": [1]}])),
    json.dumps(envelope("celery.map", [[{"task": EXPIRE}, [[]]], {}, {}])),
    json.dumps(envelope(EXPIRE, {"task": EXPIRE, "id": "1", "args": [], "kwargs": {}})),
]
REFUSED_BY_CELERY = [
    json.dumps(envelope("logout_app.tasks.no_such_task", NOTHING)),
    json.dumps(envelope(EXPIRE, [["more"], {"than": "it takes"}, {}])),
    json.dumps(envelope(EXPIRE, NOTHING, expires="yesterday")),
]


def overdue_session() -> SSOSession:
    session = sign_in()
    SSOSession.objects.filter(pk=session.pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    return session


def is_ended(session: SSOSession) -> bool:
    return SSOSession.objects.get(pk=session.pk).ended_at is not None


def number_aside() -> float:
    return tallies.read().get(("aside", "message"), 0)


def assert_goes_on(worker: Program, session: SSOSession) -> None:
    wait_until(lambda: is_ended(session), 60, worker.log.name)
    assert worker.process.poll() is None
    wait_until(lambda: number_aside() == len(UNREADABLE) + len(FOREIGN), 60, worker.log.name)
    assert "queue.message.set_aside" in worker.text
    assert "this is not JSON" in worker.text


def test_messages_that_nobody_can_read_end_no_worker(installation, redis):
    session, queue = overdue_session(), Redis.from_url(redis[1])
    worker = installation.worker()
    for message in (*UNREADABLE, *FOREIGN, *REFUSED_BY_CELERY):
        queue.lpush("celery", message)
    queue.lpush("celery", json.dumps(envelope(EXPIRE, NOTHING, id="2")))
    assert_goes_on(worker, session)


def test_files_that_nobody_can_read_end_no_worker(tmp_path: Path):
    """Without Redis the queue is a folder."""
    session = overdue_session()
    with Installation(tmp_path) as installation:
        folder = tmp_path / "data" / "broker"
        for number, message in enumerate((*UNREADABLE, *FOREIGN, *REFUSED_BY_CELERY)):
            content = message if isinstance(message, bytes) else message.encode()
            (folder / f"{number:03}.celery.msg").write_bytes(content)
        (folder / "900.celery.msg").write_text(json.dumps(envelope(EXPIRE, NOTHING, id="2")))
        assert_goes_on(installation.worker(), session)


def test_a_file_that_somebody_is_still_writing_is_not_taken_for_poison(tmp_path: Path):
    session, text = overdue_session(), json.dumps(envelope(EXPIRE, NOTHING))
    with Installation(tmp_path) as installation:
        worker, folder = installation.worker(), tmp_path / "data" / "broker"
        with (folder / "1_x.celery.msg").open("w", buffering=1) as file:
            wait_until_read(worker, folder)
            file.write(text[:100])
            file.flush()
            wait_until_read(worker, folder)
            file.write(text[100:])
        wait_until(lambda: is_ended(session), 30, worker.log.name)
        assert number_aside() == 0
        assert "queue.message.set_aside" not in worker.text


def wait_until_read(worker: Program, folder: Path) -> None:
    """A message that nobody else can read comes after the others of the folder, and is gone once they were looked at."""
    probe = folder / "9_probe.celery.msg"
    (folder / "draft").write_text(json.dumps(envelope("logout_app.tasks.no_such_task", NOTHING)))
    (folder / "draft").replace(probe)
    wait_until(lambda: not probe.exists(), 30, worker.log.name)


def test_a_worker_starts_although_somebody_was_killed_while_the_queues_table_was_made(tmp_path: Path):
    session = overdue_session()
    with Installation(tmp_path) as installation:
        (tmp_path / "data" / "broker-control" / "celery.exchange").touch()
        folder = tmp_path / "data" / "broker"
        (folder / "1_x.celery.msg").write_text(json.dumps(envelope(EXPIRE, NOTHING)))
        worker = installation.worker()
        wait_until(lambda: is_ended(session), 30, worker.log.name)
