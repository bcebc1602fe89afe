"""What a person does that waits for an upstream takes one of the places that people have (`idp/outbound/gate.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from idp.outbound.gate import NoPlace, Share, place
from idp.protocol.errors import TemporarilyUnavailable

BUSY = "Too many requests wait for other servers right now. Please try again in a moment."


@contextmanager
def turn(busy: str = "Too many people are signing in right now. Please try again in a moment.") -> Iterator[None]:
    """While somebody waits for an upstream, of whatever protocol. Raises TemporarilyUnavailable when too many do."""
    try:
        with place(Share.PEOPLE):
            yield
    except NoPlace:
        raise TemporarilyUnavailable(busy) from None
