"""psycopg, with connections that wait for no answer longer than their process may (`idp/database/limits.py`).

PostgreSQL ends what takes too long by itself, if it can: one that is stopped, or whose machine is gone, says nothing at all.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

import psycopg
from psycopg import *  # noqa: F403  what Django expects of a driver
from psycopg.errors import OperationalError, _WaitTimeout

from idp.database.limits import Limits, limits
from idp.database.postgresql.silence import Silent, server

# Seconds for a statement while all threads but this one wait (`Limits.waiting`): who asks for nothing slow is served meanwhile.
CROWDED = 0.3
LOOK = 0.25  # seconds between looks whether another thread has found the server silent meanwhile
CANCEL = 0.5  # seconds for the server to take our wish to end a statement, and again for its word that it did


class BoundedConnection(psycopg.Connection[Any]):
    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        given = limits()
        if timeout is not None or not given.answer:
            return super().wait(gen, interval, timeout)
        if server.is_silent:
            with server.trial():
                return self._wait_in_time(gen, interval, given)
        return self._wait_in_time(gen, interval, given)

    def _wait_in_time(self, gen: Any, interval: float, given: Limits) -> Any:
        ends = monotonic() + given.answer
        try:
            return super().wait(gen, interval, CROWDED if server.is_crowded else min(given.waiting, given.answer))
        except _WaitTimeout:
            pass
        with server.place() as has_place:
            while has_place and monotonic() < ends and not server.is_silent:
                try:
                    return super().wait(gen, interval, LOOK)
                except _WaitTimeout:
                    continue
        return self._cancelled(gen, interval)

    def _cancelled(self, gen: Any, interval: float) -> Any:
        """Ask the server to end the statement, so that what became of it is known. Raises Silent if it does not answer."""
        try:
            if not server.is_silent:
                self.cancel_safe(timeout=CANCEL)
                return super().wait(gen, interval, CANCEL)
        except (OperationalError, _WaitTimeout) as error:
            if getattr(error, "sqlstate", None):  # its answer: that it ended the statement
                raise
        server.is_silent = True
        self.close()  # a connection whose answer is still to come can ask nothing else
        raise Silent("the database gave no answer in time")


connect = BoundedConnection.connect
