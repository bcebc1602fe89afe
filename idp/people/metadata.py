"""Facts of a person beside the standard claims, by Auth0's names and rules: `user_metadata` and `app_metadata`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from idp.protocol.text import storable

LARGEST = 100_000  # characters of each as JSON


def problem(value: object) -> str | None:
    if not isinstance(value, dict):
        return "must be an object"
    if reason := storable.problem(value):
        return reason
    return f"is larger than {LARGEST:,} characters" if len(json.dumps(value)) > LARGEST else None


def merged(stored: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """As Auth0 merges: names at the first level only; what is inside is replaced as a whole; null takes a name away, and
    an empty object takes all of them."""
    if not patch:
        return {}
    both = {**stored, **patch}
    return {name: value for name, value in both.items() if value is not None}
