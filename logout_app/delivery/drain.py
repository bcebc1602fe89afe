"""The loop that delivers, in the Celery worker's process but in no Celery task: the table is queue and schedule.

One thread, one event loop, one HTTP client, and two threads with a connection each: one claims while the other records.
The loop claims, signs, posts and records in batches and never waits for the slowest of a batch. It wakes on the bell or by
its own timer, so a broker that is lost, hung or flushed delays a delivery by a second at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from time import monotonic, time
from typing import Any, ParamSpec, TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from idp import outbound
from idp.outbound.many import Fanout
from logout_app.delivery import aside, bell, deliver, ledger, metrics, outbox, pulse, reports, tallies, turns
from logout_app.delivery.channels.registry import SENT
from logout_app.delivery.deliver import Job, Prepared, Sent
from logout_app.delivery.feeder import Feeder
from logout_app.delivery.ledger import Ledger
from logout_app.delivery.listener import listen
from logout_app.delivery.outbox import Claimed, Result
from logout_app.delivery.receiver import is_stream, named
from logout_app.protocol.breaker import Breaker
from logout_app.protocol.retry import Outcome

log = structlog.get_logger(__name__)
_lines = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
SendTask = asyncio.Task[datetime | None]  # gives when it is tried again; None: it is decided

BATCH = 200  # rows of one claim; larger ones are not faster
SLICE = 10  # deliveries that are signed before the first of them go out
GATHER = 0.02  # seconds from one claim to the next that a bell asks for: in a storm every sign-out rings
SWEEP = 1.0  # seconds between looks at the table without a bell
SWEEP_WITHOUT_REDIS = 0.2
MANY, STORM = 10, 0.2  # rows of one claim that are not a stream's, and for how long after it others give way
TIDY = 60.0
DATABASE_PAUSE = 1.0
HOLD = 1.0  # between looks whether results can be recorded again
FINISH = 5.0  # seconds that requests in flight have after the signal


class Drain:
    """Runs until `stop()`. Everything but `stop` belongs to its own thread."""

    def __init__(self, fanout: Fanout | None = None, held: dict[int, Result] | None = None) -> None:
        self._fanout = fanout or Fanout(outbound.rules(), timeout=settings.DELIVERY_TIMEOUT)
        self._lease = timedelta(seconds=settings.DELIVERY_TIMEOUT + 5)
        self._flying: dict[SendTask, tuple[Job, datetime]] = {}
        self._last: dict[str, SendTask] = {}  # of receivers whose deliveries keep their order
        self._asked: set[int] = set()  # the deliveries in flight
        self._breakers: dict[str, Breaker] = {}
        self.ledger = Ledger(held)
        self._name = reports.own_name()
        self._failed_claims = 0
        self._careful_until = 0.0  # one row at a time until then: a claim of many has failed for the values of one
        self._stormy_until = 0.0
        self._refill_at = -1  # in flight: when it is so few that the next claim is due
        self._stopping = threading.Event()

    def stop(self) -> None:
        """From any thread: claim nothing more, finish what is in flight."""
        self._stopping.set()
        if (loop := getattr(self, "_loop", None)) is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._ending.set()
        self._wake.set()

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake, self._ending = asyncio.Event(), asyncio.Event()
        self.ledger.start(self._write, lambda: len(self._flying))
        self._feeder = Feeder(
            lambda work: self._in_database(self._claims, work), self._wake.set, lambda: monotonic() < self._stormy_until
        )
        with (
            ThreadPoolExecutor(1, "curfew-claim") as self._claims,
            ThreadPoolExecutor(1, "curfew-record") as self._records,
        ):
            async with self._fanout:
                await self._run()
            for executor in (self._claims, self._records):
                await self._in_database(executor, disconnect)

    async def _run(self) -> None:
        helpers = [asyncio.create_task(work) for work in self._helpers()]
        if settings.REDIS_URL:
            helpers.append(asyncio.create_task(listen(settings.REDIS_URL, bell.CHANNEL, self._rung)))
        main = asyncio.create_task(self._keep_claiming())
        try:
            await asyncio.wait([main, *helpers], return_when=asyncio.FIRST_COMPLETED)
            await self._finish()
        finally:
            for task in (main, *helpers):
                task.cancel()
            endings = await asyncio.gather(main, *helpers, return_exceptions=True)
        for ending in endings:
            if isinstance(ending, Exception):
                raise ending

    def _helpers(self) -> tuple[Coroutine[Any, Any, None], ...]:
        every = SWEEP if settings.REDIS_URL else SWEEP_WITHOUT_REDIS
        return self.ledger.keep_recording(), self._keep_tidy(), self._keep_reporting(), self._feeder.run(every)

    def _rung(self) -> None:
        self._wake.set()
        self._feeder.wake()

    # --- claim and send ----------------------------------------------------------------------------------------------

    async def _keep_claiming(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            began = monotonic()
            if self.ledger.stuck_for is not None:
                await self._hold()
                continue
            limit = min(BATCH, settings.IN_FLIGHT - len(self._flying))
            if limit > 0 and await self._claim(limit):
                continue
            self._refill_at = len(self._flying) // 2
            await self._sleep_until_woken()
            if not self._stopping.is_set():
                await asyncio.sleep(began + GATHER - monotonic())  # the first bell after a silence is answered at once

    async def _sleep_until_woken(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), SWEEP if settings.REDIS_URL else SWEEP_WITHOUT_REDIS)
        except TimeoutError:
            return  # the sweep

    async def _rest(self, seconds: float) -> None:
        """As long as the worker is not told to end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    async def _hold(self) -> None:
        """Claim nothing while results cannot be recorded, and keep their rows from the other workers."""
        pks = list(self.ledger.held)
        await self._try("hold", self._claims, outbox.keep_leased, pks, timezone.now() + self._lease)
        await self._rest(HOLD)

    async def _claim(self, limit: int) -> bool:
        """Whether to claim again at once: there may be more for which there is room."""
        try:
            prepared = await self._in_database(self._claims, self._claim_and_prepare, self._rooms(), limit)
        except DatabaseError as error:  # what was claimed comes again when its lease ends
            log.warning("logout.drain.waits", doing="claim", error=str(error))
            await self._rest(ledger.pause(self._failed_claims))
            self._failed_claims += 1
            return False
        self._failed_claims = 0
        if sum(not job.in_order for job in prepared.jobs) >= MANY:
            self._stormy_until = monotonic() + STORM
        for number, job in enumerate(prepared.jobs, 1):
            self._launch(job)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        self._note(*(result for result in prepared.results if not self.ledger.knows(result.claimed)))
        self._leave_alone(prepared.sealed)
        return bool(prepared.results) or len(prepared.jobs) == limit

    def _leave_alone(self, sealed: dict[str, str]) -> None:
        """Receivers whose signing key cannot be unsealed: their rows come again when the lease ends."""
        for receiver, problem in sealed.items():
            log.warning("logout.drain.waits", doing="sign", receiver=receiver, error=problem)
            self._breakers.setdefault(receiver, Breaker()).pause(monotonic() + DATABASE_PAUSE)

    def _claim_and_prepare(self, rooms: dict[str, int], limit: int) -> Prepared:
        at = timezone.now()
        rows = self._claim_rows(
            channels=list(SENT),
            rooms=rooms,
            cap=settings.PER_APP_IN_FLIGHT,
            limit=limit,
            at=at,
            lease=self._lease,
        )
        return deliver.prepare(rows, at) if rows else Prepared()

    def _claim_rows(self, **claim: Any) -> list[Claimed]:
        if monotonic() >= self._careful_until:
            try:
                return outbox.claim(**claim)
            except aside.FAULTS as error:
                log.exception("logout.drain.claims_one_by_one", error=aside.described(error))
                # Rows that were leased before their values turned out to be unreadable come once more in that time.
                self._careful_until = monotonic() + 2 * self._lease.total_seconds()
        return aside.claim_one_by_one(**claim)

    def _rooms(self) -> dict[str, int]:
        """What each receiver may still have in flight, where it is not simply the cap."""
        now, cap = monotonic(), settings.PER_APP_IN_FLIGHT
        return {
            receiver: room for receiver, breaker in self._breakers.items() if (room := breaker.room(cap, now)) != cap
        }

    def _launch(self, job: Job) -> None:
        row = job.claimed
        if row.id in self._asked:
            self.ledger.claimed_in_flight(row)
            return
        if self.ledger.knows(row):
            return
        self._asked.add(row.id)
        self._breakers.setdefault(row.receiver, Breaker()).in_flight += 1
        before = self._last.get(row.receiver) if job.in_order else None
        task = self._loop.create_task(self._send(job, before))
        if job.in_order:
            self._last[row.receiver] = task
        self._flying[task] = (job, timezone.now())
        task.add_done_callback(self._landed)

    async def _send(self, job: Job, before: SendTask | None) -> datetime | None:
        began = timezone.now()
        if before is not None and (due_at := await turns.after(before, began)):
            self._note(deliver.postponed(job.claimed, due_at, began))
            return due_at
        try:
            sent = await deliver.send(job, self._fanout)
        except (
            Exception
        ) as error:  # ours, not the application's: it must neither stop the others nor come back for ever
            log.exception("logout.delivery.failed", delivery=job.claimed.id)
            result = deliver.failed(job.claimed, aside.described(error), began, timezone.now())
        else:
            self._judge(sent)
            result = sent.result
        self._note(result)
        return result.due_at

    def _landed(self, task: SendTask) -> None:
        job, _ = self._flying.pop(task)
        if self._last.get(job.claimed.receiver) is task:
            del self._last[job.claimed.receiver]
        self._asked.discard(job.claimed.id)
        self.ledger.landed(job.claimed.id)
        self._breakers[job.claimed.receiver].in_flight -= 1
        if len(self._flying) <= self._refill_at:  # claim while the other half is in the air
            self._refill_at = -1
            self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("logout.delivery.failed", delivery=job.claimed.id, exc_info=error)

    def _judge(self, sent: Sent) -> None:
        """Tell the receiver's breaker, and the world if it opened or closed."""
        row, decision, now = sent.result.claimed, sent.decision, monotonic()
        breaker = self._breakers[row.receiver]
        was_open = breaker.is_open
        if decision.unhealthy:
            breaker.failed(now)
        else:
            breaker.succeeded()
        if decision.pause:
            breaker.pause(now + decision.pause)
        if breaker.is_open:
            until = time() + max(0.0, breaker.silent_until - now) + settings.DELIVERY_TIMEOUT
            self.ledger.note_breaker(named(row.receiver, row.client_id), until)
        elif was_open:
            self.ledger.note_breaker(named(row.receiver, row.client_id), 0.0)
        if breaker.is_open != was_open:
            word = "opened" if breaker.is_open else "closed"
            log.warning(f"logout.breaker.{word}", client_id=row.client_id, receiver=row.receiver)

    # --- record ------------------------------------------------------------------------------------------------------

    def _note(self, *results: Result) -> None:
        if not results:
            return
        self.ledger.note(*results)
        for result in results:
            log_result(result)

    async def _write(self, batch: list[Result], notes: dict[str, float]) -> list[Result]:
        refused = await self._in_database(self._records, ledger.write, batch, notes)
        if any(is_stream(result.claimed.receiver) for result in batch):
            self._feeder.wake()
        return refused

    # --- housekeeping ------------------------------------------------------------------------------------------------

    async def _keep_tidy(self) -> None:
        while True:
            now = monotonic()
            self._breakers = {
                key: b for key, b in self._breakers.items() if b.in_flight or b.failures or b.silent_until > now
            }
            await self._try("tidy", self._records, tidy, timezone.now())
            await asyncio.sleep(TIDY)

    async def _keep_reporting(self) -> None:
        """By the thread that claims: one that hangs falls silent, and /readyz says so."""
        while True:
            await self._try("report", self._claims, self._report)
            await asyncio.sleep(reports.EVERY)

    def _report(self) -> None:
        if outbox.adopt():
            self._loop.call_soon_threadsafe(self._wake.set)
        known = self.ledger
        reports.tell(
            self._name,
            held=len(known.held) + len(known.refused),
            stuck_for=known.stuck_for,
            reason=known.reason,
            idle_for=pulse.idle(),
        )

    async def _finish(self) -> None:
        """What is in flight has five seconds; what then still hangs is handed to the other workers at once."""
        self._stopping.set()  # also when another part of the loop has failed: nothing more is claimed
        if self._flying:
            await asyncio.wait(list(self._flying), timeout=FINISH)
        late = dict(self._flying)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        at = timezone.now()
        self._note(*(deliver.interrupted(job, began, at) for task, (job, began) in late.items() if task.cancelled()))
        await self.ledger.record()

    async def _try(self, doing: str, thread: ThreadPoolExecutor, function: Callable[..., object], *args: Any) -> None:
        """What may fail for as long as the database does."""
        try:
            await self._in_database(thread, function, *args)
        except DatabaseError as error:
            log.warning("logout.drain.waits", doing=doing, error=str(error))

    async def _in_database(
        self, thread: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._loop.run_in_executor(thread, lambda: in_database(function, *args, **kwargs))


def in_database(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A connection that failed is closed, so that the next statement gets a new one."""
    try:
        return function(*args, **kwargs)
    except (DatabaseError, *aside.FAULTS):
        connection.close()
        raise


def disconnect() -> None:
    connection.close()


def tidy(at: datetime) -> None:
    outbox.give_up(at, timedelta(seconds=settings.DELIVERY_MAX_AGE))
    aside.set_aside_unknown_channels(at)
    reports.forget()
    tallies.add_lost_log_lines()
    if (off := metrics.clock_difference(timezone.now())) > metrics.CLOCK_TOLERANCE:
        log.warning("logout.drain.clock_is_wrong", seconds=round(off.total_seconds()))


def log_result(result: Result) -> None:
    """Failures, a line each. What went well is in the table; a line each of it only where debugging is asked for."""
    if result.outcome in (Outcome.DELIVERED, Outcome.POSTPONED):
        if not _lines.isEnabledFor(logging.DEBUG):
            return
        write = log.debug
    elif result.due_at is None and result.outcome != Outcome.DROPPED:
        write = log.warning
    else:
        write = log.info
    row = result.claimed
    write(
        f"logout.delivery.{result.outcome}",
        delivery=row.id,
        client_id=row.client_id,
        channel=row.channel,
        initiator=row.initiator,
        attempt=row.attempts,
        status=result.status,
        reason=result.reason,
        uri=result.url,
        state=result.state.value,
    )
