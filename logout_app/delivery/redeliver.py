"""Try again what was given up: a dead delivery waits once more, and the bell rings."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from logout_app.delivery import bell
from logout_app.models import NEXT_FENCE, DeliveryState, LogoutDelivery


def deliveries(pks: Collection[int], *, at: datetime) -> int:
    """Send these again; returns how many. Waiting ones become due now; what was delivered stays delivered."""
    return _requeue(LogoutDelivery.objects.filter(pk__in=list(pks)), at)


def all_dead_of(application_pk: int, *, at: datetime) -> int:
    """Send everything again that this application never took; returns how many."""
    return _requeue(LogoutDelivery.objects.filter(application=application_pk, state=DeliveryState.DEAD), at)


def _requeue(rows: QuerySet[LogoutDelivery], at: datetime) -> int:
    """`created_at` is the moment from which the maximal age counts, so it begins anew; attempts keep their numbers."""
    with transaction.atomic():
        waiting = rows.sendable().filter(state=DeliveryState.PENDING).update(due_at=at)  # type: ignore[attr-defined]
        dead = (
            rows.addressed()  # type: ignore[attr-defined]
            .filter(state=DeliveryState.DEAD)
            .update(
                state=DeliveryState.PENDING,
                finished_at=None,
                lease_until=None,
                created_at=at,
                due_at=at,
                fence=NEXT_FENCE,
            )
        )
        transaction.on_commit(bell.ring)
    return int(waiting + dead)
