"""A permit that one thread gives itself and that triggers of the database ask for.

On PostgreSQL it is a setting of the transaction, on SQLite a function that only our connections have.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connection
from django.db.backends.signals import connection_created


class Permit:
    """`setting`: its name on PostgreSQL; `function`: on SQLite. Made once, when its module is imported."""

    def __init__(self, setting: str, function: str) -> None:
        self._setting, self._function = setting, function
        self._given = ContextVar(function, default=False)
        connection_created.connect(self._give_function, weak=False, dispatch_uid=function)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Inside a transaction."""
        token = self._given.set(True)
        self._say("on")
        try:
            yield
        finally:
            self._given.reset(token)
        self._say("off")  # the transaction may go on; one that failed forgets it anyway

    def _say(self, value: str) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config(%s, %s, true)", [self._setting, value])

    def _give_function(self, connection: Any, **_: object) -> None:
        if connection.vendor == "sqlite":
            connection.connection.create_function(self._function, 0, self._given.get)
