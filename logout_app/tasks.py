"""Celery's part: what the calendar asks for. Deliveries are not here, see `drain.py`.

The thread pool has no time limits, so each task watches its own deadline and bounds its statements. All of them may run
twice at once (two beats, a late acknowledgement): each batch decides by conditional statements what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic

import structlog
from celery import shared_task
from django.db import connection
from django.utils import timezone

from idp.processes.places import long_task
from idp.protocol.initiators import Initiator
from logout_app.browser import transactions
from logout_app.ending import access_lost, deprovisioned, mails, purging
from logout_app.ending.end import Selection, end_sessions
from logout_app.evidence import overdue
from logout_app.shared_signals import poll
from logout_app.streams import manage
from sessions_app.account import new_devices
from sessions_app.audit import chain, following

log = structlog.get_logger(__name__)

EXPIRY_DEADLINE = 50.0  # seconds; the next run comes after 60
EXPIRY_BATCH = 200
PURGE_DEADLINE = 540.0  # the next run comes after 600
MAIL_DEADLINE = 25.0  # of each of two
SEAL_DEADLINE = 50.0
STATEMENT_LIMIT = 10  # seconds
NAMED = 10  # applications, in a line of the log


@shared_task
def expire_sessions() -> None:
    """End the sessions that are past a limit, through the door, so that their applications hear of it.

    Frames of sign-out pages that were closed are given up in the same minute, and who joined an application at the moment at
    which it ceased to be for them leaves it.
    """
    with connection.bounded_statements(STATEMENT_LIMIT):  # type: ignore[attr-defined]  # of idp/database
        ended = until_done(_expire_batch, EXPIRY_DEADLINE, EXPIRY_BATCH)
        transactions.give_up_unanswered(timezone.now())
        access_lost.sign_out(actor="system", at=timezone.now())  # who joined while they lost it
    if ended:
        log.info("sessions.expired", sessions=ended)


def _expire_batch() -> int:
    ended = end_sessions(
        Selection.overdue(EXPIRY_BATCH),
        initiator=Initiator.SESSION_EXPIRED,
        actor="system",
        at=timezone.now(),
        offline_tokens=False,
    )
    return len(ended.session_pks)


@long_task(waits=True)
def end_sessions_of_leavers() -> None:
    """End the sessions of people whom their directory disabled or removed."""
    deprovisioned.end_all(timezone.now())


@long_task(waits=False)
def poll_signals() -> None:
    """Ask the transmitters of security events that do not push them."""
    poll.poll_all(timezone.now())


@long_task(waits=True)
def purge_history() -> None:
    """Delete what is older than the tenant's retention, and every one-time thing that has expired. Streams that nobody comes for pause."""
    now = timezone.now()
    try:
        manage.pause_inactive(now)
    finally:  # whatever keeps streams from it
        purging.run(now, seconds=PURGE_DEADLINE)


@shared_task
def seal_trail() -> None:
    """Seal the lines of the audit trail that are old enough."""
    with connection.bounded_statements(STATEMENT_LIMIT):  # type: ignore[attr-defined]  # of idp/database
        until_done(partial(chain.seal_next, timezone.now()), SEAL_DEADLINE, following.BATCH)


@shared_task
def watch_ends() -> None:
    """The alarm in the log, once a minute while it lasts: an end that is not complete after five minutes."""
    now = timezone.now()
    with connection.bounded_statements(STATEMENT_LIMIT):  # type: ignore[attr-defined]  # of idp/database
        found = overdue.incomplete(now)
    if found.oldest is not None:
        log.error(
            "ends.incomplete",
            ends=found.ends,
            deliveries=found.deliveries,
            oldest_seconds=round((now - found.oldest).total_seconds()),
            applications=list(found.applications[:NAMED]),
            more=found.more,
        )


@shared_task
def find_security_mails() -> None:
    """Look in the audit trail for what people are told of by mail: new devices, and ends that somebody else began."""
    with connection.bounded_statements(STATEMENT_LIMIT):  # type: ignore[attr-defined]  # of idp/database
        for find in (new_devices.find, mails.find):
            until_done(partial(find, timezone.now()), MAIL_DEADLINE, following.BATCH)


def until_done(batch: Callable[[], int], seconds: float, full: int) -> int:
    """Repeat until a batch is not full or the time is up; returns the sum. What is left is the next run's."""
    deadline, total = monotonic() + seconds, 0
    while monotonic() < deadline:
        done = batch()
        total += done
        if done < full:
            return total
    log.warning("task.out_of_time", batch=getattr(batch, "__name__", repr(batch)), done=total)
    return total
