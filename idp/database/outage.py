"""What a database that is away, full, read-only, locked or silent says. Then nothing was done, and it can be tried again."""

from __future__ import annotations

from django.db import InterfaceError, InternalError, OperationalError

OUTAGES = (OperationalError, InterfaceError, InternalError)  # PostgreSQL's "read-only" is an InternalError


def is_outcome_unknown(error: BaseException | None) -> bool:
    """Whether the database gave no answer to a statement that it may have got: then nobody knows whether it was done."""
    return bool(getattr(getattr(error, "__cause__", None), "outcome_unknown", False))


TOO_LONG = frozenset({"57014", "55P03", "40P01"})  # its time was over, a lock did not come, each waited for the other


def took_too_long(error: BaseException) -> bool:
    """Whether the database would perhaps have done it, had it been less."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) in TOO_LONG or "BUSY" in getattr(cause, "sqlite_errorname", "")
