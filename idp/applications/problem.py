"""What a rule has against an application."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that an application may not be. Each entrance shows `field`, a column, by its own name.

    `reason` is words that follow "it" or begin with it; where one of several values is meant, `index` is its place among
    them. `depends` are other columns that the rule looks at: whoever changes one of them says something about this, too.
    """

    field: str
    reason: str
    value: str = ""
    index: int | None = None
    depends: tuple[str, ...] = ()
    is_used: bool = True  # whether a stored value that became wrong is used all the same
    instead: str = ""  # what is used in its place

    def __str__(self) -> str:
        return f"{self.value}: {self.reason}" if self.value else self.reason
