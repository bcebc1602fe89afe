"""The only way to take lines away: triggers refuse every UPDATE, and every DELETE but that of the purge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from django.db.backends.signals import connection_created
from django.db.models import Model
from django.dispatch import receiver

from sessions_app.audit import sql
from sessions_app.models import SessionEvent

_purging = ContextVar("purging", default=False)


@contextmanager
def purging() -> Iterator[None]:
    """Lets this thread delete lines; inside a transaction."""
    token = _purging.set(True)
    sql.say_purging("on")
    try:
        yield
    finally:
        _purging.reset(token)
    sql.say_purging("off")  # the transaction may go on; one that failed forgets it anyway


def to_purge(model: type[Model]) -> AbstractContextManager[None]:
    """What the purge needs around its deletion of such rows."""
    return purging() if model is SessionEvent else nullcontext()


@receiver(connection_created)
def _give_function(connection: Any, **_: object) -> None:
    sql.give_function(connection, _purging.get)
