"""A server that says nothing: how many threads may wait for it, and who tries whether it is back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.conf import settings
from psycopg import Error, OperationalError

from idp.processes.role import ProcessRole, current

log = structlog.get_logger(__name__)


class Silent(OperationalError):
    """No answer: whether the statement was done is not known."""

    outcome_unknown = True


class NotAsked(OperationalError):
    """The server did not answer a moment ago, and somebody else is trying whether it does now. Nothing was sent."""


class _Server:
    """What this process knows of its database. While it is silent one statement at a time tries it; others fail at once."""

    def __init__(self) -> None:
        self._silent = False
        self._trial = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0

    @property
    def is_silent(self) -> bool:
        return self._silent

    @is_silent.setter
    def is_silent(self, silent: bool) -> None:
        if silent != self._silent:
            log.warning("database.silent" if silent else "database.answers_again")
        self._silent = silent

    @property
    def is_crowded(self) -> bool:
        """Whether all threads but one wait already."""
        return self._waiting > 0 and self._waiting >= settings.WEB_THREADS - 1

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Ask whether it is back. Any word of the server, also a refusal, says that it is."""
        if not self._trial.acquire(blocking=False):
            raise NotAsked("the database did not answer a moment ago")
        try:
            yield
        except Error as error:
            if error.sqlstate:
                self.is_silent = False
            raise
        else:
            self.is_silent = False
        finally:
            self._trial.release()

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Whether one more thread may go on waiting: of the web server's threads one is kept for what needs no database."""
        if current() is not ProcessRole.WEB:
            yield True
            return
        with self._counting:
            has_place = not self.is_crowded
            self._waiting += has_place
        try:
            yield has_place
        finally:
            with self._counting:
                self._waiting -= has_place


server = _Server()
