"""Old history of sign-outs and sessions, after what `sessions_app.session.purge` deletes, by its means and in its batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from idp.models import User
from logout_app.models import (
    DeliveryState,
    FormerAddress,
    LogoutDelivery,
    LogoutEvent,
    LogoutTransaction,
    ReceivedSignal,
    RevocationRequest,
)
from logout_app.streams.subjects import KEPT
from sessions_app.audit.purging import OldLines
from sessions_app.models import AccessToken, SamlSubject, SSOSession
from sessions_app.session import purge
from sessions_app.session.batches import Batch, oldest_first
from sessions_app.session.purge import AFTER_EXPIRY


def batches(now: datetime, retention_days: int, positions: Mapping[str, int] | None = None) -> Iterator[Batch]:
    """Name and act of each kind of row, of all apps, in the order in which rows hang on each other. `positions`: see `purge.looked_for`."""
    yield oldest_first(LogoutTransaction.objects.filter(expires_at__lt=now - AFTER_EXPIRY), "expires_at")
    yield oldest_first(FormerAddress.objects.filter(until__lt=now - KEPT), "until")
    yield from purge.batches(now, retention_days)
    yield from _history(now - timedelta(days=retention_days))
    yield from purge.looked_for(now, retention_days, positions=positions)


def _history(old: datetime) -> Iterator[Batch]:
    yield oldest_first(RevocationRequest.objects.filter(at__lt=old), "at")
    yield oldest_first(ReceivedSignal.objects.filter(at__lt=old), "at")
    needed = _of_somebody_shut_out()
    finished = LogoutDelivery.objects.filter(~Exists(needed.filter(pk=OuterRef("pk"))), finished_at__lt=old)
    yield oldest_first(finished, "finished_at")
    pending = LogoutDelivery.objects.filter(event=OuterRef("pk"), state=DeliveryState.PENDING)
    told = needed.filter(event=OuterRef("pk"))
    yield oldest_first(LogoutEvent.objects.filter(~Exists(pending), ~Exists(told), at__lt=old), "at")
    in_use = AccessToken.rows.filter(session=OuterRef("pk"))  # of an offline family, not expired yet
    yield oldest_first(SSOSession.objects.filter(~Exists(in_use), ended_at__lt=old), "ended_at")
    untold = LogoutDelivery.objects.sendable().filter(sid=OuterRef("sid"), state=DeliveryState.PENDING)
    subjects = SamlSubject.objects.filter(~Exists(untold), session=None, issued_at__lt=old)
    yield oldest_first(subjects, "issued_at")
    yield "sessionevent", OldLines(old)


def _of_somebody_shut_out() -> QuerySet[LogoutDelivery]:
    """An application that was told of somebody's block must hear of its end, however long it lasts (`CONCERNED`)."""
    shut_out = User.objects.filter(user_id=OuterRef("sub"), is_active=False)
    return LogoutDelivery.objects.commands().filter(Exists(shut_out))
