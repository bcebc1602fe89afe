"""What became of each object of a tenant file, as the command prints it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from idp.tenants.changes import Difference


@dataclass(frozen=True, slots=True)
class Applied:
    """`what`: created, updated, unchanged, removed, closed or ignored; `note` says what else one must know, `warnings` what one
    may not expect, `changes` what is different now, without secrets."""

    kind: str
    name: str
    what: str
    note: str = ""
    warnings: tuple[str, ...] = ()
    changes: tuple[Difference, ...] = ()

    @property
    def is_change(self) -> bool:
        return self.what not in ("unchanged", "ignored")

    @property
    def lines(self) -> list[str]:
        """What is different, to be read below it."""
        return [f"          {each.what}: {each.before} -> {each.after}" for each in self.changes]

    @property
    def row(self) -> dict[str, Any]:
        changes, warnings = [each.row for each in self.changes], list(self.warnings)
        return {
            "kind": self.kind,
            "name": self.name,
            "what": self.what,
            "note": self.note,
            "changes": changes,
            "warnings": warnings,
        }

    def __str__(self) -> str:
        return f"{self.what:<9} {self.kind} {self.name}{f' ({self.note})' if self.note else ''}"
