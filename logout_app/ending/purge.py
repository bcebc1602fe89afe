"""Old history of sign-outs and sessions, after what `sessions_app.session.purge` deletes, by its means and in its batches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from idp.models import User
from logout_app.models import (
    DeliveryAttempt,
    DeliveryState,
    FormerAddress,
    LogoutDelivery,
    LogoutEvent,
    LogoutTransaction,
    ReceivedSignal,
    RevocationRequest,
    StreamItem,
)
from logout_app.streams.subjects import KEPT
from sessions_app.audit import history
from sessions_app.models import AccessToken, SamlSubject, SessionClient, SSOSession
from sessions_app.session import purge
from sessions_app.session.purge import AFTER_EXPIRY, Batch, Rows


def batches(now: datetime, retention_days: int) -> Iterator[Batch]:
    """Name and act of each kind of row, of all apps, in the order in which rows hang on each other."""
    yield from purge.named(iter([LogoutTransaction.objects.filter(expires_at__lt=now - AFTER_EXPIRY)]))
    yield from purge.named(iter([FormerAddress.objects.filter(until__lt=now - KEPT)]))
    yield from purge.batches(now, retention_days)
    yield from purge.named(_history(now - timedelta(days=retention_days)))


def _history(old: datetime) -> Iterator[Rows]:
    yield RevocationRequest.objects.filter(at__lt=old)
    yield ReceivedSignal.objects.filter(at__lt=old)
    needed = _of_somebody_shut_out()
    finished = LogoutDelivery.objects.filter(~Exists(needed.filter(pk=OuterRef("pk"))), finished_at__lt=old)
    yield DeliveryAttempt.objects.filter(delivery__in=finished)
    yield StreamItem.objects.filter(delivery__in=finished)
    yield finished
    pending = LogoutDelivery.objects.filter(event=OuterRef("pk"), state=DeliveryState.PENDING)
    told = needed.filter(event=OuterRef("pk"))
    yield LogoutEvent.objects.filter(~Exists(pending), ~Exists(told), at__lt=old)
    yield SessionClient.objects.filter(session__ended_at__lt=old)
    in_use = AccessToken.rows.filter(session=OuterRef("pk"))  # of an offline family, not expired yet
    yield SSOSession.objects.filter(~Exists(in_use), ended_at__lt=old)
    untold = LogoutDelivery.objects.sendable().filter(sid=OuterRef("sid"), state=DeliveryState.PENDING)
    yield SamlSubject.objects.filter(~Exists(untold), session=None, issued_at__lt=old)
    yield history.before(old)
    yield history.seals_before(old)


def _of_somebody_shut_out() -> QuerySet[LogoutDelivery]:
    """An application that was told of somebody's block must hear of its end, however long it lasts (`CONCERNED`)."""
    shut_out = User.objects.filter(user_id=OuterRef("sub"), is_active=False)
    return LogoutDelivery.objects.commands().filter(Exists(shut_out))
