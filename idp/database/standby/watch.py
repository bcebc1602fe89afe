"""How far the standby is, by the positions of both in the write-ahead log, and until when it is not asked again.

A standby has a change when its replay has passed the place where the primary stood after it. The place alone is not enough: after a
failover the log goes on by another time line, and a standby that follows the lost one may stand further on with changes that never
were. So the time lines are compared, too, and whether both are of one system at all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog
from django.db import Error, connections

from idp.database import prepared
from idp.database.addresses import STANDBY
from idp.database.standby import driver

WAIT = 0.3  # seconds that a list waits for the standby to have what the primary has
AGAIN = 5.0  # seconds for which lists do not ask a standby that could not be used
PATIENCE = 1.0  # seconds for the answer to how far it is
PAUSE, LONGEST_PAUSE = 0.005, 0.05  # seconds between two questions
# Where commits do not wait for the disk, what is committed may stand in the log and not on the disk yet.
OF_THE_PRIMARY = """
SELECT (CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn()
        ELSE pg_current_wal_flush_lsn() END)::text,
  left(pg_walfile_name(pg_current_wal_flush_lsn()), 8), system_identifier::text
FROM pg_control_system()
"""
OF_THE_STANDBY = """
SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= %s::pg_lsn,
  lpad(upper(to_hex(greatest(past.timeline_id, recovery.min_recovery_end_timeline))), 8, '0'), system.system_identifier::text,
  greatest(0, extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()))::float
FROM pg_control_system() system, pg_control_checkpoint() past, pg_control_recovery() recovery
"""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StandbyState:
    """`problem`: "" or why lists are not read from it, in a few words. `behind`: age in seconds of what it has, 0 if it has all."""

    problem: str = ""
    behind: float = 0.0


class _Notes:
    """What this process knows of the standby."""

    def __init__(self) -> None:
        self.problem = ""
        self.again_at = float("-inf")  # on the monotonic clock

    def note(self, problem: str, why: str = "") -> None:
        if bool(problem) != bool(self.problem):
            log.warning("standby.not_used" if problem else "standby.used_again", problem=problem, error=why)
        self.problem = problem
        self.again_at = time.monotonic() + AGAIN if problem else float("-inf")


notes = _Notes()


def is_configured() -> bool:
    return STANDBY in connections.settings


def has_caught_up() -> bool:
    """Whether it has all that was committed before this call. Asked of one that could not be used every few seconds, by one thread."""
    if time.monotonic() < notes.again_at:
        return False
    if notes.problem:
        notes.again_at = time.monotonic() + AGAIN  # nobody else waits for it meanwhile
    notes.note(look().problem)
    return not notes.problem


def failed(error: Exception) -> None:
    """A list that was begun there could not be read."""
    connections[STANDBY].close()
    notes.note("away", repr(error))


def look() -> StandbyState:
    """Waits for it to catch up, and asks whatever was found before. Never raises."""
    try:
        position, time_line, system = prepared.fetch(OF_THE_PRIMARY)[0]
    except Error as error:
        return _silent("the primary does not tell its position", error)
    ends, pause = time.monotonic() + WAIT, PAUSE
    while True:
        try:
            with driver.within(PATIENCE):
                follows, has_all, its_time_line, its_system, age = _ask(position)
        except Error as error:
            connections[STANDBY].close()
            return _silent("away", error)
        if not follows:
            return StandbyState("no standby: it takes writes", age or 0.0)
        if its_system != system:
            return StandbyState("a standby of another database", age or 0.0)
        if has_all:
            return (
                StandbyState()
                if its_time_line == time_line
                else StandbyState("not known to follow this primary", age or 0.0)
            )
        if time.monotonic() >= ends:
            return StandbyState(f"behind by {age or 0:.0f} s", age or 0.0)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _ask(position: str) -> tuple[bool, bool | None, str, str, float | None]:
    with connections[STANDBY].cursor() as cursor:
        cursor.execute(OF_THE_STANDBY, [position])
        row: tuple[bool, bool | None, str, str, float | None] = cursor.fetchone()
        return row


def _silent(problem: str, error: Exception) -> StandbyState:
    log.info("standby.unknown", problem=problem, error=repr(error))
    return StandbyState(problem)
