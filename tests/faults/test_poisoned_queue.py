"""What no program can read in Celery's queue ends no worker, and what comes after it is done."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from redis import Redis

from logout_app import tallies
from sessions_app.models import SSOSession
from tests.delivery.conftest import sign_in
from tests.support.processes import Installation, Program
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


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
    json.dumps(envelope("logout_app.tasks.expire_sessions", NOTHING)).replace("base64", "base4711"),
    "[" * 100_000,
    json.dumps(envelope("logout_app.tasks.expire_sessions", [1])),
    json.dumps(envelope("logout_app.tasks.expire_sessions", NOTHING, timelimit=5)),
]
REFUSED_BY_CELERY = [
    json.dumps(envelope("logout_app.tasks.no_such_task", NOTHING)),
    json.dumps(envelope("logout_app.tasks.expire_sessions", b"\x00 not JSON")),
    json.dumps(envelope(None, NOTHING)),
    json.dumps(envelope("logout_app.tasks.expire_sessions", NOTHING, eta="yesterday")),
]


def overdue_session() -> SSOSession:
    session = sign_in()
    SSOSession.objects.filter(pk=session.pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    return session


def assert_goes_on(worker: Program, session: SSOSession) -> None:
    wait_until(lambda: SSOSession.objects.get(pk=session.pk).ended_at is not None, 30, worker.log.name)
    assert worker.process.poll() is None
    wait_until(lambda: tallies.read().get(("aside", "message")) == len(UNREADABLE), 10, worker.log.name)
    assert "queue.message.set_aside" in worker.text
    assert "this is not JSON" in worker.text


def test_messages_that_nobody_can_read_end_no_worker(installation, redis):
    session, queue = overdue_session(), Redis.from_url(redis[1])
    worker = installation.worker()
    for message in (*UNREADABLE, *REFUSED_BY_CELERY):
        queue.lpush("celery", message)
    queue.lpush("celery", json.dumps(envelope("logout_app.tasks.expire_sessions", NOTHING, id="2")))
    assert_goes_on(worker, session)


def test_files_that_nobody_can_read_end_no_worker(tmp_path: Path):
    """Without Redis the queue is a folder."""
    session = overdue_session()
    with Installation(tmp_path) as installation:
        folder = tmp_path / "data" / "broker"
        for number, message in enumerate((*UNREADABLE, *REFUSED_BY_CELERY)):
            content = message if isinstance(message, bytes) else message.encode()
            (folder / f"{number:03}.celery.msg").write_bytes(content)
        last = json.dumps(envelope("logout_app.tasks.expire_sessions", NOTHING, id="2"))
        (folder / "900.celery.msg").write_text(last)
        assert_goes_on(installation.worker(), session)
