"""From where to where a number may be, said once for forms, files and programs."""

from __future__ import annotations

from dataclasses import dataclass

MOST_SECONDS = 2_000_000_000  # what every database keeps as an integer


@dataclass(frozen=True, slots=True)
class Bounds:
    """A whole number from `least` to `most`, both included."""

    least: int
    most: int
    may_be_empty: bool = False

    def problem(self, value: object) -> str | None:
        if value is None and self.may_be_empty:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most:
            return None
        return f"it must be a whole number from {self.least} to {self.most}"

    def nearest(self, value: int) -> int:
        """What a stored number counts as where it is used: one outside as the nearest that is allowed."""
        return min(max(value, self.least), self.most)
