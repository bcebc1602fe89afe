"""Requests in an application's name that were refused for what its developer or administrator can mend: shown on its page.

Strangers can make as many as they like. An application keeps the newest few, and a process writes so many of one application in
a minute and no more; the log has every one.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from idp.models import Application, RefusedRequest
from idp.protocol import nearest_uri
from idp.protocol.errors import NotRegistered, ProtocolError

KEPT = 20  # of one application
WRITTEN = 10  # of one application, by this process in one minute
LATELY = timedelta(days=30)
LONGEST = 500
# What the application itself does wrong, whoever the person is.
MISTAKES = frozenset(
    {"invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_target"}
)
COLUMNS = {
    "redirect_uri": "callbacks",
    "post_logout_redirect_uri": "allowed_logout_urls",
    "AssertionConsumerServiceURL": "callbacks",
    "returnTo": "allowed_logout_urls",
}
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RefusedLately:
    """`nearest`: the registered address that it most probably should have been; `difference`: in words."""

    at: datetime
    what: str
    received: str
    reason: str
    nearest: str = ""
    difference: str = ""


def note(error: ProtocolError) -> None:
    """Keep what came, if it was an address that is not registered; the answer stays what it is in any case."""
    if isinstance(error, NotRegistered):
        _note(error.client_id, error.parameter, error.uri, error.description, timezone.now())


def note_mistake(application: Application, error: ProtocolError, redirect_uri: str, at: datetime) -> None:
    """The same for a request whose answer goes to the application."""
    if error.error in MISTAKES:
        _note(application.client_id, error.error, redirect_uri, error.description, at)


def _note(client_id: str, what: str, received: str, reason: str, at: datetime) -> None:
    if not _budget.take(client_id, at):
        return
    try:
        with transaction.atomic():
            _write(client_id, what, _printable(received), _printable(reason)[:300], at)
    except DatabaseError:  # the one who asked hears why they were refused all the same
        log.warning("request.refusal_not_kept", client_id=client_id, exc_info=True)


def _write(client_id: str, what: str, received: str, reason: str, at: datetime) -> None:
    application = Application.objects.filter(client_id=client_id).only("pk").first()
    if application is None:  # it was deleted just now
        return
    RefusedRequest.objects.update_or_create(
        application=application,
        what=what,
        received=received,
        defaults={"reason": reason, "last_at": at},
        create_defaults={"reason": reason, "first_at": at, "last_at": at},
    )
    mine = RefusedRequest.objects.filter(application=application)
    old = list(mine.order_by("-last_at", "-pk").values_list("pk", flat=True)[KEPT : 2 * KEPT])
    if old:
        mine.filter(pk__in=old).delete()


def lately(application: Application, now: datetime) -> Iterator[RefusedLately]:
    """Newest first; without addresses that are registered by now."""
    rows = RefusedRequest.objects.filter(application=application, last_at__gt=now - LATELY)
    for row in rows.order_by("-last_at", "-pk"):
        column = COLUMNS.get(row.what, "")
        registered = getattr(application, column) if column else []
        if row.received in registered:
            continue
        nearest = nearest_uri.nearest(row.received, registered)
        difference = nearest_uri.difference(row.received, nearest) if nearest else ""
        yield RefusedLately(row.last_at, row.what, row.received, row.reason, nearest, difference)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:LONGEST])


class _Allowance:
    """Rows of the minute that is now; forgets by itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self._minute, self._counts = 0, Counter[str]()

    def take(self, client_id: str, at: datetime) -> bool:
        minute = int(at.timestamp()) // 60
        with self._lock:
            if minute != self._minute:
                self._minute, self._counts = minute, Counter()
            self._counts[client_id] += 1
            return self._counts[client_id] <= WRITTEN


_budget = _Allowance()


def forget() -> None:
    """As a process that has just started."""
    _budget.forget()
