"""One run of the purge: kind after kind, each by itself, and one run at a time in an installation.

A kind that fails is named in the log, counted, and tried again by the next run; the others go on. A batch that took too long
is tried again with fewer rows. Two runs at once would lock the same rows in different orders, and look for the same twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from time import monotonic, time

import structlog
from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet

from idp.database.outage import took_too_long
from idp.tenants import configuration, rules
from logout_app.delivery import tallies
from logout_app.ending import purge
from logout_app.models import DeliveryTally
from sessions_app.session.batches import KeyRange, PurgeAct

log = structlog.get_logger(__name__)

STATEMENT_LIMIT = 10  # seconds
HELD_FOR = 120.0  # seconds: longer than any batch; what a killed process held is free after that
RENEWED_AFTER = 10.0
ROUND = 30.0  # for one kind at a time: a backlog of one keeps no other waiting for ever
FAILED, FAILING, POSITION, HELD, ENDED = (
    f"purge_{name}" for name in ("failed", "failing", "position", "held", "ended")
)  # tallies


class PurgeTurn:
    """The right to purge, with the retention that it began with."""

    def __init__(self) -> None:
        self.retention = _retention()
        self._until = 0.0

    def take(self) -> bool:
        DeliveryTally.objects.bulk_create([DeliveryTally(metric=HELD)], ignore_conflicts=True)
        is_over, is_of_a_clock_ahead = Q(value__lt=time()), Q(value__gt=time() + 2 * HELD_FOR)
        return self._hold(_holder().filter(is_over | is_of_a_clock_ahead))

    def goes_on(self) -> bool:
        """Asked before each batch: whether it is still ours, and nobody has said meanwhile that history is kept for longer.
        What the database does not answer is taken for no."""
        try:
            return self._is_ours() and _retention() <= self.retention
        except DatabaseError as error:
            log.warning("purge.held", error=str(error))
            return False

    def give_back(self) -> None:
        try:
            _holder().filter(value=self._until).update(value=0)
        except DatabaseError as error:
            log.warning("purge.held", error=str(error))

    def _is_ours(self) -> bool:
        is_fresh = self._until - time() > HELD_FOR - RENEWED_AFTER
        return is_fresh or self._hold(_holder().filter(value=self._until))

    def _hold(self, rows: QuerySet[DeliveryTally]) -> bool:
        until = time() + HELD_FOR
        if not rows.update(value=until):
            return False
        self._until = until
        return True


def _holder() -> QuerySet[DeliveryTally]:
    return DeliveryTally.objects.filter(metric=HELD, label="")


def _retention() -> int:
    return rules.days_of_history(configuration.current().tenant)


@contextmanager
def alone(when_waiting: Callable[[], None] | None = None) -> Iterator[PurgeTurn | None]:
    """None: another run is under way. `when_waiting` is called until it is not."""
    turn = PurgeTurn()
    while not turn.take():
        if when_waiting is None:
            yield None
            return
        when_waiting()
    try:
        yield turn
    finally:
        turn.give_back()


def run(at: datetime, *, seconds: float) -> None:
    """What is not done by then is left to the next run."""
    deadline = monotonic() + seconds
    with alone() as turn:
        if turn is None:
            log.info("purge.under_way")
        else:
            _Run(at, turn, deadline).run()


class _Run:
    def __init__(self, at: datetime, turn: PurgeTurn, deadline: float) -> None:
        self._at, self._turn, self._deadline = at, turn, deadline
        self._known = tallies.read()
        self._deleted: Counter[str] = Counter()
        self._reached, self._failed = set[str](), set[str]()

    def run(self) -> None:
        positions = {kind: int(value) for (metric, kind), value in self._known.items() if metric == POSITION}
        left = list(purge.batches(self._at, self._turn.retention, positions))
        while left and self._goes_on():
            left = [each for each in left if not self._goes_on() or self._has_more(*each)]
        for kind, rows in (+self._deleted).items():  # without those of which there were none
            log.info("history.purged", what=kind, rows=rows)
        if left:
            is_late = monotonic() >= self._deadline
            log.warning("task.out_of_time" if is_late else "purge.stopped", left=[repr(act) for _, act in left])
        healed = [kind for kind in self._reached - self._failed if self._known.get((FAILING, kind))]
        tallies.put({(FAILING, kind): 0.0 for kind in healed} | {(ENDED, ""): time()})

    def _goes_on(self) -> bool:
        return monotonic() < self._deadline and self._turn.goes_on()

    def _has_more(self, kind: str, act: PurgeAct) -> bool:
        """After as long as others can wait for it; False: it is done, or failed."""
        until = monotonic() + ROUND
        has_failed = False
        with connection.bounded_statements(STATEMENT_LIMIT):  # type: ignore[attr-defined]  # of idp/database
            while not (act.is_done or has_failed) and monotonic() < until and self._goes_on():
                has_failed = not self._delete(kind, act)
        if has_failed:
            self._note_failure(kind)
        if isinstance(act, KeyRange):
            tallies.put({(POSITION, kind): act.position})
        return not (act.is_done or has_failed)

    def _delete(self, kind: str, act: PurgeAct) -> bool:
        """A batch; whether it could be deleted."""
        try:
            self._deleted[kind] += batch(act)
        except Exception:  # whatever it is: the other kinds are deleted all the same
            log.exception("purge.failed", what=kind)
            act.give_up()
            return False
        self._reached.add(kind)
        return True

    def _note_failure(self, kind: str) -> None:
        """Raises for a database that is away: then no other kind needs to be tried."""
        self._failed.add(kind)
        tallies.add({(FAILED, kind): 1})
        if not self._known.get((FAILING, kind)):
            tallies.put({(FAILING, kind): time()})


def batch(act: PurgeAct) -> int:
    """How many rows it deleted. Raises what an act raises that cannot take less."""
    while True:
        try:
            return act()
        except DatabaseError as error:
            if not (took_too_long(error) and act.take_less()):
                raise
            log.warning("purge.takes_less", batch=repr(act), error=str(error))


def failing() -> dict[str, float]:
    """Kinds that the last run did not delete, and since when (seconds since 1970)."""
    return {kind: since for (metric, kind), since in tallies.read().items() if metric == FAILING and since}


def last_ended() -> float | None:
    """When a run last came to its end (seconds since 1970), whether or not it had the time for all; None: none has."""
    return tallies.read().get((ENDED, ""))
