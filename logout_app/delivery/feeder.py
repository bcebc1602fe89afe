"""The part of the drain that fills the outbox for event streams: what the audit trail says since their last event."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog
from django.db import DatabaseError
from django.utils import timezone

from logout_app.streams import feed
from sessions_app.audit.settled import SettledTrail

log = structlog.get_logger(__name__)
UNSETTLED = 0.02  # seconds until the next look, while a transaction that began before is under way
PAUSE = 1.0  # after a database that failed


class Feeder:
    """Belongs to the drain's loop. `in_database` runs in the thread that claims, so that this takes no connection of its own."""

    def __init__(
        self, in_database: Callable[[Callable[[], feed.Fed]], Awaitable[feed.Fed]], planned: Callable[[], None]
    ) -> None:
        self._in_database, self._planned = in_database, planned
        self._trail = SettledTrail()
        self._news = asyncio.Event()

    def wake(self) -> None:
        self._news.set()

    async def run(self, every: float) -> None:
        while True:
            self._news.clear()
            pause = await self._look(every)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), pause)

    async def _look(self, every: float) -> float:
        """Seconds until the next look that nobody asks for."""
        try:
            fed = await self._in_database(lambda: feed.feed_all(self._trail, timezone.now()))
        except DatabaseError as error:
            log.warning("logout.drain.waits", doing="feed", error=str(error))
            return PAUSE
        if fed.planned:
            self._planned()
        return UNSETTLED if fed.unsettled else every
