"""The Celery worker's process: its drain, a thread beside Celery's own."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from time import monotonic
from typing import Any

import structlog
import uvloop
from celery import bootsteps, signals
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import ProgrammingError, connection

from idp.crypto import keys, sealed, sealing
from idp.database.outage import OUTAGES
from idp.operations.tracing import switch as tracing
from idp.redis import health as redis_health
from idp.tenants import configuration
from logout_app.delivery import pulse
from logout_app.delivery.drain import FINISH, Drain

log = structlog.get_logger(__name__)

EXIT = 8.0  # seconds after the signal at which the process ends whatever still holds it
AGAIN = 1.0  # seconds after a crash of the loop, doubled by each that follows within a minute
LONGEST_AGAIN = 30.0
CALM = 60.0


def refuse_wrong_keys() -> None:
    """A worker that lacks a key by which something is sealed must not start: it would claim rows that it cannot send."""
    try:
        sealed.refuse_without_needed_keys()
        snapshot = configuration.current()
        for algorithm in keys.ALGORITHMS:
            keys.active(algorithm, snapshot)
    except (sealing.CannotUnseal, ImproperlyConfigured) as error:
        log.critical("logout.drain.refused", error=str(error))
        raise SystemExit(1) from error
    except (*OUTAGES, ProgrammingError) as error:
        log.warning("logout.drain.waits", doing="start", error=str(error))  # the drain waits for it
    finally:
        connection.close()


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
        pause = AGAIN
        while not self._stopping.is_set():
            began = monotonic()
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(self._drain.run())
            except Exception:  # the thread's boundary: a worker without its drain would look healthy and do nothing
                log.exception("logout.drain.crashed")
                pause = AGAIN if monotonic() - began > CALM else min(2 * pause, LONGEST_AGAIN)
                self._stopping.wait(pause)
                self._drain = Drain(held=self._drain.ledger.held)
        log.info("logout.drain.stopped")


class DrainStep(bootsteps.StartStopStep):
    """Starts the drain once pool and embedded beat have forked; needs no broker."""

    requires = ("celery.worker.components:Pool", "celery.worker.components:Beat")

    def start(self, worker: Any) -> None:
        refuse_wrong_keys()
        redis_health.warn_of_eviction()
        tracing.start()
        tune_process()
        pulse.begin()
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
