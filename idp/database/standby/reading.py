"""Which statements go to the standby: those of `rows()` inside of `listed()`, and none else.

Both are named where they are used, and `tests/unit/test_standby.py` knows all of these places. What decides about somebody (a session,
a token, a permission, a form that is saved) asks the primary by saying nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import Error, connections
from django.db.models import QuerySet

from idp.database.addresses import STANDBY
from idp.database.standby import watch

T = TypeVar("T")
Q = TypeVar("Q", bound=QuerySet[Any])
TOO_LONG = "57014"  # the statement's own time was over: the primary would be no faster, and others need it
_reading = ContextVar("a list is made of the standby's rows", default=False)


def listed(make: Callable[[], T]) -> T:
    """What `make` makes, its `rows()` from the standby if that has all that was committed before; and once more, all of it from the
    primary, if the standby fails meanwhile. So `make` reads, and nothing else."""
    if not watch.is_configured() or not watch.has_caught_up():
        return make()
    there = connections[STANDBY]
    there.errors_occurred = False
    token = _reading.set(True)
    try:
        return make()
    except Error as error:
        if not there.errors_occurred or getattr(error.__cause__, "sqlstate", None) == TOO_LONG:
            raise
        watch.failed(error)
    finally:
        _reading.reset(token)
    return make()


def rows(found: Q) -> Q:
    """From the standby, if a list is read from there now."""
    return found.using(STANDBY) if _reading.get() else found


def is_there() -> bool:
    """Whether rows come from the standby now, so that what is made of them has to be made here."""
    return _reading.get()
