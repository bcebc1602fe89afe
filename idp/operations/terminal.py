"""What commands for operators share: who sits at the terminal, and tables that fit on it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence


def operator() -> str:
    """The actor of what is done on the command line, by the account of the machine; behind sudo by who used it."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = f"uid {os.getuid()}"
    return f"operator:{name}"


def is_confirmed(question: str) -> bool:
    """Whether somebody types yes. Nobody does without a terminal (`kubectl exec` without `-it`)."""
    try:
        return input(f"{question} Type yes: ") == "yes"
    except EOFError:
        return False


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest value. What no terminal should obey (control characters) is shown as ?."""
    lines = [heading, *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(heading))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def plain(text: object) -> str:
    """Without control characters: people and connections choose their names themselves."""
    return "".join(character if character.isprintable() else "?" for character in str(text))
