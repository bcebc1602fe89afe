"""What becomes of a message that nobody can read: named in the log, counted, gone."""

from __future__ import annotations

import structlog
from django.db import DatabaseError, connection

from logout_app.delivery import tallies
from logout_app.protocol.retry import printable

log = structlog.get_logger(__name__)

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
SHOWN = 200  # characters


def taken_by(error: BaseException) -> str:
    """What the queue gave, as far as the error knows it."""
    return str(getattr(error, "doc", getattr(error, "object", "")))


def set_aside(error: BaseException, message: str) -> None:
    """Gone from the queue; its beginning is in the log."""
    log.error(
        "queue.message.set_aside", error=f"{type(error).__name__}: {error}"[:SHOWN], message=printable(message[:SHOWN])
    )
    try:
        tallies.add({("aside", "message"): 1})
    except DatabaseError as away:
        log.warning("queue.message.uncounted", error=str(away))
    finally:
        connection.close()  # this thread has no other use for one
