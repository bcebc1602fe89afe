"""Django's SQLite backend, which notices that the file of a kept connection is gone.

SQLite itself goes on with a file that has no name any more: sign-outs would be answered that are lost with the process.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from django.db.backends.sqlite3 import base

from idp.database.limits import limits
from idp.processes import children


class DatabaseWrapper(base.DatabaseWrapper):
    _seen: ClassVar[set[str]] = set()  # by any thread of this process
    _file: tuple[int, int] | None = None

    def get_connection_params(self) -> dict[str, Any]:
        """Who writes waits for the one writer that there may be, as long as this process waits for locks."""
        params: dict[str, Any] = super().get_connection_params()
        return params | ({"timeout": lock} if (lock := limits().lock) else {})

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A file that was there is not made anew: an empty database beside the log of the old one is a broken one."""
        path = str(conn_params["database"])
        if path in self._seen and not os.path.exists(path):
            raise sqlite3.OperationalError("the file of the database is gone")
        connection = super().get_new_connection(conn_params)
        self._file = _identity(path)
        if self._file is not None:
            self._seen.add(path)
        return connection

    def is_usable(self) -> bool:
        """Asked at the first statement of every request."""
        return self._file == _identity(str(self.settings_dict["NAME"]))

    @contextlib.contextmanager
    def alone(self, number: int, when_waiting: Callable[[], None]) -> Iterator[None]:
        """The same as on PostgreSQL, by a lock on a file beside the database's: `number` is in its name."""
        path = Path(self.settings_dict["NAME"])
        if not path.parent.is_dir():  # in memory: nobody else has it
            yield
            return
        with children.alone(path.with_name(f"{path.name}-{number:x}.lock"), when_waiting):
            yield

    def clock(self) -> datetime | None:
        """It runs in our own process, whose clock is its own."""
        return None

    def longer_statements(self, seconds: int) -> AbstractContextManager[None]:
        """SQLite has no limit on statements."""
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def bounded_statements(self, seconds: int) -> Iterator[None]:
        """It has one writer, and whoever waits for it gives up by themselves (`get_connection_params`)."""
        yield


def _identity(path: str) -> tuple[int, int] | None:
    """What tells this file from another of its name; None for a database in memory, or when it is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
