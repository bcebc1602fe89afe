"""What became of each object of a tenant file, as the command prints it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Applied:
    """`what`: created, updated, unchanged, removed, closed or ignored; `note` says what else one must know, `warnings` what one
    may not expect."""

    kind: str
    name: str
    what: str
    note: str = ""
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.what:<9} {self.kind} {self.name}{f' ({self.note})' if self.note else ''}"
