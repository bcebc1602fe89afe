"""Curfew's Celery application, as `-A` takes it, with a task for which there is no memory: Celery lets that out of its trace."""

from __future__ import annotations

from idp.celery import app as celery_app

NAME = "tests.hungry"


@celery_app.task(name=NAME)
def eat() -> None:
    raise MemoryError("too much")
