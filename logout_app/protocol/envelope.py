"""Which messages of Celery's queue are ours (message protocol 2): calls of tasks, at once, with nothing that follows them.

Celery believes an envelope. What does not fit raises outside of the task and keeps its place among the few that a worker
holds at once; so does what is asked for in the year 9999.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

TEXTS = ("task", "id")
NEVER = ("eta", "compression", "group", "shadow", "stamped_headers")  # headers that our callers leave empty
OF_CELERY = "celery."
CLEANUP = "celery.backend_cleanup"  # its beat asks for it each night
LARGEST = 1_000_000  # of a body


class Foreign(ValueError):
    """The message is not one that our beat or our servers write."""


def check(message: Mapping[str, Any], body: str | bytes | None) -> None:
    """`body` is what the message's holds once its transfer encoding is undone; raises Foreign, or ValueError for bad JSON."""
    _check_type(message)
    _check_headers(message.get("headers"))
    if not isinstance(body, str | bytes) or len(body) > LARGEST:
        raise Foreign("no body, or one that is too large")
    _check_call(json.loads(body))


def _check_type(message: Mapping[str, Any]) -> None:
    if message.get("content-type") != "application/json" or message.get("content-encoding") != "utf-8":
        raise Foreign("the body is not JSON in UTF-8")


def _check_headers(headers: object) -> None:
    if not isinstance(headers, Mapping):
        raise Foreign("headers: no object")
    for name in TEXTS:
        if not headers.get(name) or not isinstance(headers[name], str):
            raise Foreign(f"{name}: no text")
    for name in NEVER:
        if headers.get(name):
            raise Foreign(f"{name}: none of our tasks has one")
    if headers.get("timelimit") not in (None, [None, None]):
        raise Foreign("timelimit: none of our tasks has one")
    if headers["task"].startswith(OF_CELERY) and headers["task"] != CLEANUP:
        raise Foreign("a task of Celery's own, which nothing here asks for")


def _check_call(call: object) -> None:
    """Arguments, arguments by name, and what is to follow: nothing."""
    if not isinstance(call, list) or len(call) != 3:
        raise Foreign("the body is no call")
    args, kwargs, follow = call
    if not isinstance(args, list) or not isinstance(kwargs, dict) or not isinstance(follow, dict):
        raise Foreign("arguments that are no arguments")
    if any(follow.values()):
        raise Foreign(f"nothing follows a task of ours: {', '.join(sorted(name for name in follow if follow[name]))}")
