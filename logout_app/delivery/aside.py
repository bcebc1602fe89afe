"""Deliveries that cannot be processed are set aside, each by itself, so that the others go on.

A statement that takes many rows fails as a whole for one value that overflows or that no program can read. Then rows are
taken one by one for a while, and what fails alone is dead, with its reason, for an administrator to look at.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DataError, IntegrityError, connection, transaction

from idp.database import dialect
from idp.database.outage import OUTAGES
from logout_app.delivery import tallies
from logout_app.delivery.channels.registry import BY_NAME, known
from logout_app.delivery.outbox import (
    ATTEMPTS,
    DUE,
    PICK_POSTGRES,
    PICK_SQLITE,
    TABLE,
    TAKE,
    Claimed,
    Result,
    as_claimed,
    claim_parameters,
    counts_of,
    traced,
)
from logout_app.models import HIGHEST, DeliveryState, LogoutDelivery
from logout_app.protocol.retry import SET_ASIDE, printable

log = structlog.get_logger(__name__)

# One row's own fault, whatever its values are; OUTAGES and missing permissions are everybody's.
FAULTS = (DataError, IntegrityError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
UNKNOWN_FOR = timedelta(minutes=1)  # a worker that knows the channel would have taken the row long before
PICK_ONE = f"WITH picked AS (SELECT id FROM {TABLE} WHERE id = %(id)s AND {DUE}) {TAKE}"  # noqa: S608  constants only


def claim_one_by_one(at: datetime, lease: timedelta, **room: Any) -> list[Claimed]:
    """As `outbox.claim`, but a row that cannot be claimed harms no other."""
    parameters = claim_parameters(at=at, lease=lease, **room)
    pick = dialect.either(postgresql=PICK_POSTGRES, sqlite=PICK_SQLITE)
    with connection.cursor() as cursor:
        cursor.execute(pick + "SELECT id FROM picked ORDER BY id", parameters)  # noqa: S608  constants only
        pks = [row[0] for row in cursor.fetchall()]
    return [row for pk in pks if (row := _take(pk, parameters, at)) is not None]


def _take(pk: int, parameters: dict[str, Any], at: datetime) -> Claimed | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(traced(PICK_ONE), {"id": pk, "now": parameters["now"], "lease": parameters["lease"]})
            row = cursor.fetchone()
        return as_claimed(row) if row else None
    except OUTAGES:
        raise
    except FAULTS as error:
        set_aside([pk], described(error), at)
        return None


def set_aside(pks: list[int], why: str, at: datetime) -> int:
    """Dead, named and counted. Counters that are full begin anew, so that *Redeliver* works once the cause is mended."""
    with transaction.atomic():
        rows = LogoutDelivery.objects.filter(pk__in=pks, state=DeliveryState.PENDING).select_for_update()
        found = dict(rows.values_list("pk", "channel"))
        if not found:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                UPDATE {TABLE} SET state = 'dead', finished_at = %s, lease_until = NULL, last_reason = %s,
                    fence = CASE WHEN fence >= {HIGHEST} THEN 0 ELSE fence END,
                    attempts = CASE WHEN attempts >= {HIGHEST}
                        THEN (SELECT count(*) FROM {ATTEMPTS} a WHERE a.delivery_id = {TABLE}.id) ELSE attempts END
                WHERE id IN ({", ".join(["%s"] * len(found))})
                """,  # noqa: S608  constants only
                [connection.ops.adapt_datetimefield_value(at), printable(f"{SET_ASIDE}{why}"), *found],
            )
        for channel in found.values():
            tallies.add({("aside", known(channel)): 1, ("finished", f"{known(channel)}:dead"): 1})
    for pk in found:
        log.error("logout.delivery.set_aside", delivery=pk, reason=why)
    return len(found)


def set_aside_unknown_channels(at: datetime, limit: int = 1000) -> int:
    """Rows that no worker can send would wait for ever."""
    rows = LogoutDelivery.objects.due(at - UNKNOWN_FOR).exclude(channel__in=BY_NAME)
    return set_aside(list(rows.values_list("pk", flat=True)[:limit]), "no worker knows this channel", at)


def record_without_attempt(result: Result, error: Exception) -> None:
    """What came of it is kept, if the attempt cannot be written down: nobody is asked again for what is known."""
    state, row = result.state, result.claimed
    rows = LogoutDelivery.objects.filter(pk=row.id, state=DeliveryState.PENDING)
    if state != DeliveryState.DELIVERED:
        rows = rows.filter(fence=row.fence)
    changes = {} if result.due_at is None else {"due_at": result.due_at}
    with transaction.atomic():
        tallies.add({("unrecorded", known(row.channel)): 1})
        if rows.update(
            state=state,
            lease_until=None,
            finished_at=None if state == DeliveryState.PENDING else result.ended_at,
            last_reason=printable(f"the attempt could not be recorded: {described(error)}"),
            **changes,
        ):
            tallies.add(counts_of([result]))
    log.error("logout.delivery.unrecorded", delivery=row.id, outcome=result.outcome.value, error=described(error))


def described(error: BaseException) -> str:
    """One line, without the statement's values."""
    first = (str(error).strip().splitlines() or [""])[0]
    return printable(f"{type(error).__name__}: {first}"[:300])
