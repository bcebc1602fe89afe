"""The part of the drain that fills the outbox for event streams: what the audit trail says since their last event.

Applications come first: in a storm of sign-outs, each of which rings, streams get a run of events a second, and catch up behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from time import monotonic

import structlog
from django.db import DatabaseError
from django.utils import timezone

from logout_app.streams import feed
from sessions_app.audit.settled import SettledTrail

log = structlog.get_logger(__name__)
GATHER = 0.05  # seconds from one look to the next that somebody asks for, and while a transaction that began before is under way
BEHIND_APPLICATIONS = 1.0  # seconds that a look is put off at most while many of them are told
PAUSE = 1.0  # after a database that failed


class Feeder:
    """Belongs to the drain's loop. `in_database` runs in the thread that claims, so that this takes no connection of its own."""

    def __init__(
        self,
        in_database: Callable[[Callable[[], feed.Fed]], Awaitable[feed.Fed]],
        planned: Callable[[], None],
        busy: Callable[[], bool],
    ) -> None:
        self._in_database, self._planned, self._busy = in_database, planned, busy
        self._trail = SettledTrail()
        self._news = asyncio.Event()

    def wake(self) -> None:
        self._news.set()

    async def run(self, every: float) -> None:
        while True:
            self._news.clear()
            began = monotonic()
            pause = await self._look(every)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), pause)
            await self._give_way(began)

    async def _give_way(self, looked_at: float) -> None:
        """Until there is room for the next look. The first one after a silence is at once."""
        while (since := monotonic() - looked_at) < BEHIND_APPLICATIONS and (since < GATHER or self._busy()):
            await asyncio.sleep(GATHER)

    async def _look(self, every: float) -> float:
        """Seconds until the next look that nobody asks for."""
        try:
            fed = await self._in_database(lambda: feed.feed_all(self._trail, timezone.now()))
        except DatabaseError as error:
            log.warning("logout.drain.waits", doing="feed", error=str(error))
            return PAUSE
        if fed.planned:
            self._planned()
        return GATHER if fed.unsettled else every
