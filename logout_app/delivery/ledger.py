"""What applications have answered and the table does not say yet.

A worker that cannot record claims nothing: it would post the same again at the end of each lease. What it holds it knows,
whatever a lease says, and it keeps those rows leased until they are recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import monotonic

import structlog
from django.db import DatabaseError

from idp.database.outage import OUTAGES
from logout_app.delivery import aside, outbox
from logout_app.delivery.outbox import Claimed, Result

log = structlog.get_logger(__name__)

BATCH = 200  # rows of one record; larger ones are not faster
COALESCE = 0.05  # seconds in which results gather while others are in flight
PATIENCE = 1.0  # seconds that a write may take before nothing more is claimed
MOST_HELD = 1000  # results; more than a healthy table ever lets come together
MOST_REFUSED = 10_000
FIRST_PAUSE = 1.0  # seconds until the next try, doubled by each that fails
LONGEST_PAUSE = 8.0

Write = Callable[
    [list[Result], dict[str, float]], Awaitable[list[Result]]
]  # raises OUTAGES; gives what the table refuses


class Ledger:
    """Belongs to the loop's thread. `held` outlives a loop that has failed: give it to the next one."""

    def __init__(self, held: dict[int, Result] | None = None) -> None:
        self.held: dict[int, Result] = held or {}  # by delivery; written in this order
        self.refused: dict[int, Result] = {}  # what the table does not take, so that at least nobody is asked again
        self._problem = ""  # of the last write
        self._notes: dict[str, float] = {}
        self._newer: dict[int, int] = {}  # in flight: the fence of a claim that came meanwhile
        self._failures = 0
        self._stuck_since: float | None = None
        self._began: float | None = None  # the write that is under way

    def start(self, write: Write, in_flight: Callable[[], int]) -> None:
        """In the loop that is to use it."""
        self._write, self._in_flight = write, in_flight
        self._news, self._turn = asyncio.Event(), asyncio.Lock()
        if self.held:
            self._news.set()

    @property
    def stuck_for(self) -> float | None:
        """Seconds for which nothing could be recorded; None: all is well."""
        now = monotonic()
        if self._stuck_since is not None:
            return now - self._stuck_since
        if self._began is not None and now - self._began > PATIENCE:
            return now - self._began
        return 0.0 if len(self.held) > MOST_HELD else None

    @property
    def reason(self) -> str:
        """Why nothing can be recorded, as far as the database says."""
        return "" if self.stuck_for is None else self._problem or "the database does not answer"

    def note(self, *results: Result) -> None:
        for result in results:
            pk = result.claimed.id
            self.held[pk] = self._by_newest_claim(result, self._newer.pop(pk, None))
        self._news.set()

    def note_breaker(self, receiver: str, open_until: float) -> None:
        self._notes[receiver] = open_until

    def knows(self, row: Claimed) -> bool:
        """Whether this row's answer is here: then its new claim is for recording it, not for asking again."""
        for store in (self.held, self.refused):
            if (result := store.get(row.id)) is not None:
                store[row.id] = self._by_newest_claim(result, row.fence)
                return True
        return False

    def claimed_in_flight(self, row: Claimed) -> None:
        """Its lease ended before its answer came: the answer counts for the new claim."""
        self._newer[row.id] = row.fence

    def landed(self, pk: int) -> None:
        self._newer.pop(pk, None)

    @staticmethod
    def _by_newest_claim(result: Result, fence: int | None) -> Result:
        return result if fence is None else replace(result, claimed=replace(result.claimed, fence=fence))

    async def keep_recording(self) -> None:
        while True:
            await self._news.wait()
            if self._in_flight() and len(self.held) < BATCH:
                await asyncio.sleep(COALESCE)
            if not await self.record():
                await asyncio.sleep(pause(self._failures - 1))

    async def record(self) -> bool:
        """Write what is at hand; False: the database did not take it, it stays at hand."""
        async with self._turn:  # the end waits for a write that has begun, before it cancels the helpers
            batch, notes = list(self.held.values()), self._notes
            self._notes = {}
            self._news.clear()
            if not batch and not notes:
                return True
            self._began = monotonic()
            try:
                refused = await self._write(batch, notes)
            except OUTAGES as error:
                self._failed(notes, error)
                return False
            finally:
                self._began = None
            self._written(batch, refused)
        return True

    def _failed(self, notes: dict[str, float], error: Exception) -> None:
        log.warning("logout.drain.waits", doing="record", results=len(self.held), error=aside.described(error))
        self._notes = notes | self._notes
        self._failures += 1
        self._stuck_since = self._stuck_since or self._began
        self._problem = aside.described(error)
        self._news.set()

    def _written(self, batch: list[Result], refused: list[Result]) -> None:
        if self._stuck_since is not None:
            log.warning(
                "logout.drain.records_again", results=len(batch), after=round(monotonic() - self._stuck_since, 1)
            )
        self._failures, self._stuck_since, self._problem = 0, None, ""
        self.refused = dict([*self.refused.items(), *((r.claimed.id, r) for r in refused)][-MOST_REFUSED:])
        for result in batch:
            if (
                self.held.get(result.claimed.id) is result
            ):  # else it was claimed anew meanwhile: its row has another fence
                del self.held[result.claimed.id]
        if self.held:
            self._news.set()


def pause(failures: int) -> float:
    """Seconds until the next try, after so many failures before the last one."""
    return min(FIRST_PAUSE * 2.0 ** min(failures, 10), LONGEST_PAUSE)


def write(batch: list[Result], notes: dict[str, float]) -> list[Result]:
    """In the database's thread. A result that the table refuses keeps no other from being recorded; gives those it refuses."""
    try:
        outbox.record(batch, notes, delivered_is_final=True)
    except OUTAGES:
        raise
    except (DatabaseError, *aside.FAULTS) as error:
        log.warning("logout.drain.records_one_by_one", results=len(batch), error=aside.described(error))
        refused = [result for result in batch if not _write_alone(result)]
        _write_breakers(notes)
        return refused
    return []


def _write_alone(result: Result) -> bool:
    try:
        outbox.record([result], delivered_is_final=True)
    except OUTAGES:
        raise
    except (DatabaseError, *aside.FAULTS) as error:
        return _write_without_attempt(result, error)
    return True


def _write_without_attempt(result: Result, error: Exception) -> bool:
    try:
        aside.record_without_attempt(result, error)
    except OUTAGES:
        raise
    except (DatabaseError, *aside.FAULTS):
        log.exception("logout.delivery.refused", delivery=result.claimed.id)
        return False
    return True


def _write_breakers(notes: dict[str, float]) -> None:
    try:
        outbox.record([], notes)
    except OUTAGES:
        raise
    except (DatabaseError, *aside.FAULTS):  # for /metrics only, and said again by the next change
        log.exception("logout.breaker.unrecorded", breakers=sorted(notes))
