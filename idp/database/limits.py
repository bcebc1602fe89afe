"""How long a process waits for its database: seconds, by what the process is (`idp/processes/role.py`). 0: as long as it takes.

A statement of the web server ends before its client gives up. A worker's may take longer, nobody waits for it. A management
command waits: migrations, `post_restore` and a shell are ended by whoever started them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property

from django.conf import settings

from idp.processes.role import ProcessRole, current

ANSWER = (
    0.5  # seconds that an answer may come after its statement's time is over: the server's own word is better than ours
)


@dataclass(frozen=True)
class Limits:
    """`lock` and `statement` are told to the server; `answer` is when we stop to wait for a server that says nothing."""

    connect: int
    lock: int
    statement: int
    idle_in_transaction: int

    @cached_property
    def waiting(self) -> float:
        """After which a statement counts as one that waits."""
        return self.lock / 2

    @cached_property
    def answer(self) -> float:
        return self.statement + ANSWER if self.statement else 0.0


# A worker's wait for a lock ends well before a lease does: rows that it holds meanwhile would be sent by another one after it.
_WORKER = Limits(connect=5, lock=2, statement=120, idle_in_transaction=120)
_COMMAND = Limits(connect=5, lock=0, statement=0, idle_in_transaction=0)


_longer = ContextVar("seconds for a statement of this act", default=0)


def limits() -> Limits:
    """Those of this process, and of the act that it is at."""
    role, longer = current(), _longer.get()
    if role is ProcessRole.WEB:
        statement = settings.DATABASE_STATEMENT_TIMEOUT
        return _of_web(settings.DATABASE_LOCK_TIMEOUT, max(statement, longer) if statement else 0)
    return _WORKER if role is ProcessRole.WORKER else _COMMAND


@contextmanager
def longer(seconds: int) -> Iterator[None]:
    """We wait for statements of the block as long as that; `longer_statements()` of a connection tells the server too."""
    token = _longer.set(seconds)
    try:
        yield
    finally:
        _longer.reset(token)


@cache
def _of_web(lock: int, statement: int) -> Limits:
    return Limits(connect=2, lock=lock, statement=statement, idle_in_transaction=statement)
