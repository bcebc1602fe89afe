"""What every database of ours can keep as JSON."""

from __future__ import annotations

import math
import re

UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def problem(value: object) -> str | None:
    """Why it cannot be kept: PostgreSQL knows no NUL, and JSON no date, NaN or key that is not text."""
    if isinstance(value, str):
        return "holds a character that cannot be stored" if UNSTORABLE.search(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "holds a number that is none"
    if isinstance(value, bool | int | None):
        return None
    if isinstance(value, list):
        return _first(value)
    if isinstance(value, dict):
        return _first([*value.keys(), *value.values()]) if all(isinstance(key, str) for key in value) else _FOREIGN
    return _FOREIGN


_FOREIGN = "holds something that JSON does not have, like a date: quote it"


def _first(values: list[object]) -> str | None:
    return next((reason for value in values if (reason := problem(value))), None)
