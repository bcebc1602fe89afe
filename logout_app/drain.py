"""The loop that delivers, in the Celery worker's process but in no Celery task: the table is queue and schedule.

One thread, one event loop, one HTTP client, and two threads with a connection each: one claims while the other records.
The loop claims, signs, posts and records in batches and never waits for the slowest of a batch. It wakes on the bell or by
its own timer, so a broker that is lost, hung or flushed delays a delivery by a second at most.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from time import monotonic, time
from typing import Any, ParamSpec, TypeVar

import structlog
import uvloop
from celery import bootsteps, signals
from django.conf import settings
from django.db import DatabaseError, ProgrammingError, connection
from django.utils import timezone

from idp import configuration, keys, outbound, redis_health, sealing
from idp.outage import AWAY
from idp.outbound.fanout import Fanout
from logout_app import bell, deliver, metrics, outbox, tallies
from logout_app.deliver import Job, Sent
from logout_app.listener import listen
from logout_app.outbox import Claimed, Result
from logout_app.protocol.breaker import Breaker
from logout_app.protocol.retry import Outcome

log = structlog.get_logger(__name__)
_lines = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

BATCH = 200  # rows of one claim or record; larger ones are not faster
SLICE = 10  # deliveries that are signed before the first of them go out
COALESCE = 0.05  # seconds in which results gather while others are in flight
GATHER = 0.02  # seconds from one claim to the next that a bell asks for: in a storm every sign-out rings
SWEEP = 1.0  # seconds between looks at the table without a bell
SWEEP_WITHOUT_REDIS = 0.2
TIDY = 60.0
DATABASE_PAUSE = 1.0
FINISH = 5.0  # seconds that requests in flight have after the signal
EXIT = 8.0  # seconds after the signal at which the process ends whatever still holds it


class Drain:
    """Runs until `stop()`. Everything but `stop` belongs to its own thread."""

    def __init__(self, fanout: Fanout | None = None) -> None:
        self._fanout = fanout or Fanout(outbound.rules(), timeout=settings.DELIVERY_TIMEOUT)
        self._lease = timedelta(seconds=settings.DELIVERY_TIMEOUT + 5)
        self._flying: dict[asyncio.Task[None], tuple[Job, datetime]] = {}
        self._breakers: dict[int, Breaker] = {}
        self._results: list[Result] = []
        self._open_until: dict[str, float] = {}
        self._refill_at = -1  # in flight: when it is so few that the next claim is due
        self._stopping = threading.Event()

    def stop(self) -> None:
        """From any thread: claim nothing more, finish what is in flight."""
        self._stopping.set()
        if (loop := getattr(self, "_loop", None)) is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake, self._finished, self._recording = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        with (
            ThreadPoolExecutor(1, "curfew-claim") as self._claims,
            ThreadPoolExecutor(1, "curfew-record") as self._records,
        ):
            async with self._fanout:
                await self._run()
            for executor in (self._claims, self._records):
                await self._in_database(executor, disconnect)

    async def _run(self) -> None:
        helpers = [asyncio.create_task(work) for work in (self._keep_recording(), self._keep_tidy())]
        if settings.REDIS_URL:
            helpers.append(asyncio.create_task(listen(settings.REDIS_URL, bell.CHANNEL, self._wake.set)))
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

    # --- claim and send ----------------------------------------------------------------------------------------------

    async def _keep_claiming(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            began = monotonic()
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

    async def _claim(self, limit: int) -> bool:
        """Whether to claim again at once: there may be more for which there is room."""
        try:
            jobs, dropped = await self._in_database(self._claims, self._claim_and_prepare, self._rooms(), limit)
        except (*AWAY, sealing.CannotUnseal) as error:  # what was claimed comes again when its lease ends
            log.warning("logout.drain.waits", doing="claim", error=str(error))
            await asyncio.sleep(DATABASE_PAUSE)
            return False
        for number, job in enumerate(jobs, 1):
            self._launch(job)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        if dropped:
            self._note(*dropped)
        return bool(dropped) or len(jobs) == limit

    def _claim_and_prepare(self, rooms: dict[int, int], limit: int) -> tuple[list[Job], list[Result]]:
        at = timezone.now()
        rows: list[Claimed] = outbox.claim(
            channels=deliver.CHANNELS,
            rooms=rooms,
            cap=settings.PER_APP_IN_FLIGHT,
            limit=limit,
            at=at,
            lease=self._lease,
        )
        return deliver.prepare(rows, at) if rows else ([], [])

    def _rooms(self) -> dict[int, int]:
        """What each application may still have in flight, where it is not simply the cap."""
        now, cap = monotonic(), settings.PER_APP_IN_FLIGHT
        return {pk: room for pk, breaker in self._breakers.items() if (room := breaker.room(cap, now)) != cap}

    def _launch(self, job: Job) -> None:
        self._breakers.setdefault(job.claimed.application_id, Breaker()).in_flight += 1
        task = self._loop.create_task(self._send(job))
        self._flying[task] = (job, timezone.now())
        task.add_done_callback(self._landed)

    async def _send(self, job: Job) -> None:
        sent = await deliver.send(job, self._fanout)
        self._judge(sent)
        self._note(sent.result)

    def _landed(self, task: asyncio.Task[None]) -> None:
        job, _ = self._flying.pop(task)
        self._breakers[job.claimed.application_id].in_flight -= 1
        if len(self._flying) <= self._refill_at:  # claim while the other half is in the air
            self._refill_at = -1
            self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Not the application's fault: the row stays leased and is sent again when the lease ends.
            log.error("logout.delivery.failed", delivery=job.claimed.id, exc_info=error)

    def _judge(self, sent: Sent) -> None:
        """Tell the application's breaker, and the world if it opened or closed."""
        row, decision, now = sent.result.claimed, sent.decision, monotonic()
        breaker = self._breakers[row.application_id]
        was_open = breaker.is_open
        if decision.unhealthy:
            breaker.failed(now)
        else:
            breaker.succeeded()
        if decision.pause:
            breaker.pause(now + decision.pause)
        if breaker.is_open:
            self._open_until[row.client_id] = time() + max(0.0, breaker.silent_until - now) + settings.DELIVERY_TIMEOUT
        elif was_open:
            self._open_until[row.client_id] = 0.0
        if breaker.is_open != was_open:
            word = "opened" if breaker.is_open else "closed"
            log.warning(f"logout.breaker.{word}", client_id=row.client_id)

    # --- record ------------------------------------------------------------------------------------------------------

    def _note(self, *results: Result) -> None:
        self._results.extend(results)
        self._finished.set()
        for result in results:
            log_result(result)

    async def _keep_recording(self) -> None:
        while True:
            await self._finished.wait()
            if self._flying and len(self._results) < BATCH:
                await asyncio.sleep(COALESCE)
            if not await self._record():
                await asyncio.sleep(DATABASE_PAUSE)

    async def _record(self) -> bool:
        """Write the results at hand; False: the database did not take them, they stay at hand."""
        async with self._recording:  # the end waits for a write that has begun, before it cancels the helpers
            batch, notes = self._results, self._open_until
            self._results, self._open_until = [], {}
            self._finished.clear()
            if not batch and not notes:
                return True
            try:
                await self._in_database(self._records, record, batch, notes)
            except AWAY as error:
                log.warning("logout.drain.waits", doing="record", results=len(batch), error=str(error))
                self._results = batch + self._results
                self._finished.set()
                return False
        return True

    # --- housekeeping ------------------------------------------------------------------------------------------------

    async def _keep_tidy(self) -> None:
        while True:
            now = monotonic()
            self._breakers = {
                pk: b for pk, b in self._breakers.items() if b.in_flight or b.failures or b.silent_until > now
            }
            try:
                await self._in_database(self._records, tidy, timezone.now())
            except AWAY as error:
                log.warning("logout.drain.waits", doing="tidy", error=str(error))
            await asyncio.sleep(TIDY)

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
        await self._record()

    async def _in_database(
        self, thread: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._loop.run_in_executor(thread, lambda: in_database(function, *args, **kwargs))


def in_database(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A connection that failed is closed, so that the next statement gets a new one."""
    try:
        return function(*args, **kwargs)
    except AWAY:
        connection.close()
        raise


def disconnect() -> None:
    connection.close()


def record(batch: list[Result], notes: dict[str, float]) -> None:
    """A row that the database refuses must not keep the others of its batch from being recorded."""
    try:
        outbox.record(batch, notes)
    except AWAY:
        raise
    except DatabaseError:
        if len(batch) == 1:
            log.exception("logout.delivery.unrecorded", delivery=batch[0].claimed.id)
            return
        for result in batch:
            record([result], {})
        outbox.record([], notes)


def refuse_wrong_keys() -> None:
    """A worker that cannot unseal the signing keys must not start: it would claim rows that it cannot send."""
    try:
        snapshot = configuration.current()
        for algorithm in keys.ALGORITHMS:
            keys.active(algorithm, snapshot)
    except sealing.CannotUnseal as error:
        log.critical("logout.drain.refused", error=str(error))
        raise SystemExit(1) from error
    except (*AWAY, ProgrammingError) as error:
        log.warning("logout.drain.waits", doing="start", error=str(error))  # the drain waits for it
    finally:
        connection.close()


def tidy(at: datetime) -> None:
    outbox.drop_orphans(at)
    outbox.give_up(at, timedelta(seconds=settings.DELIVERY_MAX_AGE))
    tallies.add_lost_log_lines()
    if (off := metrics.clock_difference(timezone.now())) > metrics.CLOCK_TOLERANCE:
        log.warning("logout.drain.clock_is_wrong", seconds=round(off.total_seconds()))


def log_result(result: Result) -> None:
    """Failures, a line each. What went well is in the table; a line each of it only where debugging is asked for."""
    if result.outcome == Outcome.DELIVERED:
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


def tune_process() -> None:
    """For a loop that uses a core whole, beside a thread that talks to the database and a large heap that hardly changes.

    The database's thread waited up to 5 ms for the interpreter after each round trip, and a quarter of a delivery's CPU
    time went into looking for garbage among Django's modules.
    """
    sys.setswitchinterval(0.0005)  # seconds
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class DrainThread(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="curfew-drain", daemon=True)
        self._stopping = threading.Event()
        self._drain = Drain()

    def stop(self) -> None:
        self._stopping.set()
        self._drain.stop()

    def run(self) -> None:
        log.info("logout.drain.started", in_flight=settings.IN_FLIGHT, per_application=settings.PER_APP_IN_FLIGHT)
        while not self._stopping.is_set():
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(self._drain.run())
            except Exception:  # the thread's boundary: a worker without its drain would look healthy and do nothing
                log.exception("logout.drain.crashed")
                self._stopping.wait(DATABASE_PAUSE)
                self._drain = Drain()
        log.info("logout.drain.stopped")


class DrainStep(bootsteps.StartStopStep):
    """Starts the drain once pool and embedded beat have forked; needs no broker."""

    requires = ("celery.worker.components:Pool", "celery.worker.components:Beat")

    def start(self, worker: Any) -> None:
        refuse_wrong_keys()
        redis_health.warn_of_eviction()
        tune_process()
        self.thread = DrainThread()
        self.thread.start()
        signals.worker_shutting_down.connect(self._shutting_down, weak=False)

    def _shutting_down(self, **_: Any) -> None:
        """In the signal's handler: a hung Redis may keep Celery itself from ever coming to `stop()`."""
        self.thread.stop()
        leave = threading.Timer(EXIT, os._exit, (0,))
        leave.daemon = True
        leave.start()

    def stop(self, worker: Any) -> None:
        self.thread.stop()
        self.thread.join(FINISH + 1)
