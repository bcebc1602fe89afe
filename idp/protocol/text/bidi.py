"""Names from outside in sentences of ours: text that runs from right to left must not reorder what stands beside it.

Unicode Standard Annex 9. Our pages run from left to right, so only characters that run the other way, and the invisible
ones that say how text runs, can do that; a name without any is shown as it is.
"""

from __future__ import annotations

import unicodedata

FIRST_STRONG, POP = "\u2068", "\u2069"  # FSI and PDI: an isolate whose direction is that of its first letter
# Embeddings, overrides and isolates: in a name they could only close our isolate, or hide in which order its letters are.
_CONTROLS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def without_controls(text: str) -> str:
    return text if text.isascii() else text.translate(_CONTROLS)


def runs_both_ways(text: str) -> bool:
    """Whether the text has a character that runs from right to left."""
    return not text.isascii() and any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text)


def isolated(text: str) -> str:
    """For places where only text is possible: titles, attributes, and sentences that are composed before they are shown."""
    plain = without_controls(text)
    return f"{FIRST_STRONG}{plain}{POP}" if runs_both_ways(plain) else plain
