"""The frames of the sign-out page for browsers without JavaScript: ten for each visit, then what came of all of them.

A script does better (`static/js/sign_out.js`): it removes a frame when its time is over, and hears what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from logout_app.browser.transactions import PageRow
from logout_app.models import IN_FRAMES, DeliveryState
from logout_app.protocol.sign_out_state import RowState, row_state

AT_ONCE = 10  # as AT_ONCE in the script
SOON, LATER = 3, 6  # seconds after everything on the page has loaded


@dataclass(frozen=True, slots=True)
class Batch:
    """One visit. `asked` have had their frame, `frames` get it now, `waiting` are those that come after."""

    number: int
    asked: Sequence[PageRow] = field(default_factory=list)
    frames: Sequence[PageRow] = field(default_factory=list)
    waiting: Sequence[PageRow] = field(default_factory=list)
    is_last: bool = False

    @property
    def is_first(self) -> bool:
        return self.number == 0 and not self.is_last

    @property
    def following(self) -> str:
        """The query of the next visit."""
        return f"?frames={self.number + 1}" if self.waiting else "?plain"

    def refresh(self, *, pending: bool) -> int:
        """Seconds until the next visit; 0: there is none. `pending`: the page waits for somebody."""
        if self.is_last:
            return SOON if pending else 0
        return SOON if pending or self.waiting else LATER

    def judge(self, rows: Sequence[PageRow]) -> None:
        """Nobody can say what a frame did: it was asked, not confirmed, unless the back channel failed. Who comes later has time.

        On the first visit a script may be at work, which knows more.
        """
        if self.is_first:
            return
        for row in self.asked:
            _take_as(row, DeliveryState.LOADED, overdue=True)
        for row in (*self.frames, *self.waiting):
            _take_as(row, DeliveryState.PENDING, overdue=False)


def batch_of(rows: Sequence[PageRow], query: Mapping[str, str]) -> Batch:
    """What this visit of the page loads. A number that there is not is the end."""
    framed = [row for row in rows if row.frame_url]
    given = query.get("frames", "0")
    number = int(given) if given.isascii() and given.isdigit() and len(given) <= 4 else len(framed)
    begins = number * AT_ONCE
    if "plain" in query or begins > max(0, len(framed) - 1):
        return Batch(number, asked=framed, is_last=True)
    ends = begins + AT_ONCE
    return Batch(number, framed[:begins], framed[begins:ends], framed[ends:])


def _take_as(row: PageRow, state: DeliveryState, *, overdue: bool) -> None:
    unheard = [name for name in IN_FRAMES if row.channels.get(name) in (DeliveryState.PENDING, DeliveryState.DEAD)]
    if unheard and row.state in (RowState.PENDING, RowState.DEAD):
        row.state = row_state({**row.channels, **dict.fromkeys(unheard, state)}, overdue=overdue)
