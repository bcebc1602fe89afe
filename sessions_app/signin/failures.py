"""Sign-ins that failed at an upstream, or on the way there: each has a reference, which the person reads and an administrator finds.

Strangers can make them fail as often as they like, so the audit trail gets so many lines of one network, and of all of them
together, in a quarter of an hour of this process; the log has every one, with its reference.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import Counter
from datetime import datetime
from enum import StrEnum

import structlog
from django.http import HttpRequest

from idp.http.requests import client_ip, facts
from idp.limits import limiter
from idp.models import Connection
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.audit.search import REFERENCE_LETTERS

LONGEST_REASON = 500  # of what others wrote
LINES_OF_ONE, LINES_OF_ALL = 20, 500  # per window
WINDOW = limiter.QUARTER
log = structlog.get_logger(__name__)


class FailureKind(StrEnum):
    FAILED = "failed"  # the upstream is away, misconfigured, or its answer proves nothing
    REFUSED = "refused"  # the upstream said no
    NOT_ENOUGH = "not_enough"  # it vouched for somebody, but not for what is needed here
    LOST = "lost"  # an answer that belongs to no sign-in of this browser
    SILENT = "silent"  # it did not answer lately, so nobody was sent there


def record(request: HttpRequest, connection: Connection | None, outcome: FailureKind, reason: str, at: datetime) -> str:
    """One line for the administrator; returns its reference."""
    reference = new_reference()
    if not _budget.take(limiter.prefix(client_ip(request)), at):
        log.warning("sign_in.failures_not_recorded", reference=reference)
        return reference
    said = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in reason)).strip()
    data = {"reference": reference, "outcome": outcome.value, "reason": said[:LONGEST_REASON]}
    trail.record(EventType.UPSTREAM_SIGN_IN_FAILED, connection=connection, facts=facts(request), at=at, data=data)
    return reference


def new_reference() -> str:
    """Easy to read to somebody on the telephone: of 30 letters and digits, none looks like another. It opens nothing."""
    letters = "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


class _Budget:
    """Lines of the window that is now; forgets by itself. In memory: a failure costs no statement but its line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self._window, self._counts = 0, Counter[str]()

    def take(self, network: str, at: datetime) -> bool:
        window = int(at.timestamp()) // WINDOW
        with self._lock:
            if window != self._window:
                self._window, self._counts = window, Counter()
            if self._counts.total() >= LINES_OF_ALL or self._counts[network] >= LINES_OF_ONE:
                return False
            self._counts[network] += 1
            return True


_budget = _Budget()


def forget() -> None:
    """As a process that has just started."""
    _budget.forget()
