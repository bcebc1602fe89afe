"""psycopg, with connections that wait for a standby only as long as a list may. That it is silent says nothing of the primary, whose
silence (`idp/database/postgresql/silence.py`) ends every request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from psycopg import *  # noqa: F403  what Django expects of a driver
from psycopg.errors import OperationalError, _WaitTimeout

from idp.database.limits import limits

LONGEST = 5.0  # seconds, where statements of the process have no limit of their own
_hurry = ContextVar("seconds that an answer may take", default=0.0)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """For questions that are answered at once, or by nobody."""
    token = _hurry.set(seconds)
    try:
        yield
    finally:
        _hurry.reset(token)


class StandbyConnection(psycopg.Connection[Any]):
    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, _hurry.get() or limits().answer or LONGEST)
        except _WaitTimeout:
            self.close()  # its answer may still come
            raise OperationalError("the standby gave no answer in time") from None


connect = StandbyConnection.connect
