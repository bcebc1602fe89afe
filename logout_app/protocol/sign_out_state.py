"""What one row of the sign-out page says, from what each channel to that application knows."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

DELIVERED, LOADED, DEAD, PENDING = "delivered", "loaded", "dead", "pending"
NO_CHANNEL = ("dropped", "not_told")


class RowState(StrEnum):
    """The page's `data-state`."""

    PENDING = "pending"
    DELIVERED = "delivered"
    LOADED = "loaded"
    DEAD = "dead"
    UNREACHABLE = "unreachable"


def row_state(channels: Mapping[str, str], *, overdue: bool) -> RowState:
    """`channels`: channel -> delivery state; `overdue`: the application's time for an answer is over.

    Green is proof by any channel, also late. A channel that is still trying holds the row open only until the deadline;
    then a page that loaded is worth more than no answer.
    """
    states = [state for state in channels.values() if state not in NO_CHANNEL]
    if not states:
        return RowState.UNREACHABLE
    if DELIVERED in states:
        return RowState.DELIVERED
    if PENDING in states and not overdue:
        return RowState.PENDING
    return RowState.LOADED if LOADED in states else RowState.DEAD
