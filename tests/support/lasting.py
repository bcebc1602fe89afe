"""Tasks that last until somebody says so, for a worker: `celery -A tests.support.lasting`. Their files are in CURFEW_DATA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import sleep

from django.conf import settings

from idp.celery import app as app  # what Celery looks for here
from idp.processes.places import long_task

NAMES = ("first", "second", "third", "fourth")
MOST = 120  # seconds, if nobody does


def marks() -> Path:
    return Path(settings.DATA)


def lasting(name: str) -> Callable[[], None]:
    def last() -> None:
        (marks() / f"{name}.began").touch()
        for _ in range(MOST * 20):
            if (marks() / "over").exists():
                return
            sleep(0.05)

    last.__name__ = name
    return last


TASKS = [long_task(waits=True)(lasting(name)) for name in NAMES]
