"""The audit trail in the database: triggers of migration 0004 refuse every UPDATE, and every DELETE but that of the purge.

On PostgreSQL the purge says so by a setting of its transaction, on SQLite by a function that only our connections have.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connection
from django.db.backends.signals import connection_created
from django.dispatch import receiver

SETTING = "curfew.purging"
FUNCTION = "curfew_purging"
_purging = ContextVar("purging", default=False)


@contextmanager
def purging() -> Iterator[None]:
    """Lets this thread delete events; inside a transaction."""
    token = _purging.set(True)
    _say("on")
    try:
        yield
    finally:
        _purging.reset(token)
    _say("off")  # the transaction may go on; one that failed forgets it anyway


def _say(value: str) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, value])


@receiver(connection_created)
def _give_function(connection: Any, **_: object) -> None:
    if connection.vendor == "sqlite":
        connection.connection.create_function(FUNCTION, 0, _purging.get)
