"""What a database that is away, full, read-only, locked or silent says. Then nothing was done, and it can be tried again."""

from __future__ import annotations

from django.db import InterfaceError, InternalError, OperationalError

OUTAGES = (OperationalError, InterfaceError, InternalError)  # PostgreSQL's "read-only" is an InternalError


def is_outcome_unknown(error: BaseException | None) -> bool:
    """Whether the database gave no answer to a statement that it may have got: then nobody knows whether it was done."""
    return bool(getattr(getattr(error, "__cause__", None), "outcome_unknown", False))
