"""Which messages of Celery's queue are ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings
from kombu import Connection

from idp.celery import app as celery
from logout_app.protocol import envelope

OURS = {"content-type": "application/json", "content-encoding": "utf-8", "headers": {"task": "t", "id": "1"}}
CALL = "[[], {}, {}]"


@pytest.mark.parametrize("entry", [*settings.CELERY_BEAT_SCHEDULE.values(), {"task": envelope.CLEANUP}])
def test_what_our_beat_sends_is_ours(entry: dict[str, Any]):
    with Connection("memory://") as broker:
        celery.send_task(entry["task"], connection=broker, **entry.get("options", {}))
        channel = broker.default_channel
        raw = channel._get("celery")
        envelope.check(raw, channel.decode_body(raw["body"], raw["properties"]["body_encoding"]))


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ({"task": None}, "task"),
        ({"id": ["1"]}, "id"),
        ({"eta": "9999-12-31T23:59:59+00:00"}, "eta"),
        ({"compression": "application/x-gzip"}, "compression"),
        ({"timelimit": [1, None]}, "timelimit"),
        ({"task": "celery.chord_unlock"}, "Celery's own"),
    ],
)
def test_headers_that_none_of_our_tasks_has_are_named(headers: dict[str, object], names: str):
    with pytest.raises(envelope.Foreign, match=names):
        envelope.check({**OURS, "headers": {"task": "t", "id": "1", **headers}}, CALL)


@pytest.mark.parametrize("key", ["content-type", "content-encoding", "headers"])
@pytest.mark.parametrize("value", [None, 5, ["a"], "x"])
def test_an_envelope_of_other_types_is_refused(key: str, value: object):
    with pytest.raises(envelope.Foreign):
        envelope.check({**OURS, key: value}, CALL)


@pytest.mark.parametrize(
    "call",
    [
        None,
        5,
        [],
        {},
        [1, 2, 3],
        [None, None, None],
        ["a", {}, {}],
        [[], 5, {}],
        [[], {}, [1]],
        [[], {}, {"chain": [1]}],
    ],
)
def test_a_body_that_is_no_call_or_asks_for_more_is_refused(call: object):
    with pytest.raises(envelope.Foreign):
        envelope.check(OURS, json.dumps(call))


def test_a_body_without_end_is_not_read():
    with pytest.raises(envelope.Foreign, match="too large"):
        envelope.check(OURS, "[" * (envelope.LARGEST + 1))
    with pytest.raises(envelope.Foreign):
        envelope.check(OURS, None)
