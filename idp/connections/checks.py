"""What *Test connection* finds out about a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence for the administrator: what was tried and what came of it."""

    level: Literal["ok", "warning", "error"]
    text: str
    expires: bool = False  # what works today will not work in a month
