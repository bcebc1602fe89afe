"""What one row of the sign-out page says, from what each channel to that application knows."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

DELIVERED, LOADED, DEAD, PENDING = "delivered", "loaded", "dead", "pending"
NO_CHANNEL = ("dropped", "not_told")
FAILING = "failing"  # pending, and the last attempt failed
IN_FRAMES = ("frontchannel", "saml_browser")


class RowState(StrEnum):
    """The page's `data-state`."""

    PENDING = "pending"
    DELIVERED = "delivered"
    LOADED = "loaded"
    DEAD = "dead"
    UNREACHABLE = "unreachable"


def standing(state: str, last_status: int | None, last_reason: str) -> str:
    """A delivery's state as `row_state` takes it."""
    return FAILING if state == PENDING and (last_status is not None or last_reason) else state


def row_state(channels: Mapping[str, str], *, overdue: bool) -> RowState:
    """`channels`: channel -> standing of its delivery; `overdue`: the application's time for an answer is over.

    Green is proof by any channel, also late. A channel that is still trying holds the row open only until the deadline.
    Then a page that loaded is worth more than silence, but not than a failure: a browser loads error pages too.
    """
    states = [state for state in channels.values() if state not in NO_CHANNEL]
    if not states:
        return RowState.UNREACHABLE
    if DELIVERED in states:
        return RowState.DELIVERED
    if {PENDING, FAILING} & set(states) and not overdue:
        return RowState.PENDING
    failed = any(state in (FAILING, DEAD) for channel, state in channels.items() if channel not in IN_FRAMES)
    return RowState.LOADED if LOADED in states and not failed else RowState.DEAD
