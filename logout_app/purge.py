"""Old history, deleted in small batches so that no statement keeps a sign-out waiting.

Deletion is by primary key and by `_raw_delete`: no cascade is collected in Python, so what hangs on a row is deleted
before it, in the order of `batches()`. Nothing that may still be alive is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.sessions.models import Session as FlowSession
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from idp.models import LimiterSlot, SpentToken
from logout_app.models import DeliveryAttempt, DeliveryState, LogoutDelivery, LogoutEvent, LogoutTransaction
from sessions_app.models import (
    AccessToken,
    AuthorizationCode,
    DeviceGrant,
    FlowState,
    RefreshToken,
    RefreshTokenFamily,
    SessionClient,
    SessionEvent,
    SSOSession,
)

BATCH = 500
AFTER_EXPIRY = timedelta(days=1)  # codes and tokens stay so long, for replay to be recognised and for support
Rows = QuerySet[Any, Any]


def batches(now: datetime, retention_days: int) -> Iterator[tuple[str, Callable[[], int]]]:
    """Name and act of each kind of row; an act deletes up to BATCH rows and returns how many."""
    old, expired = now - timedelta(days=retention_days), now - AFTER_EXPIRY
    yield from _named(_one_time(now, expired))
    yield from _named(_tokens(old, expired))
    yield from _named(_history(old))


def _named(querysets: Iterator[Rows]) -> Iterator[tuple[str, Callable[[], int]]]:
    for rows in querysets:
        yield rows.model._meta.model_name or "", partial(delete, rows)


def delete(rows: Rows) -> int:
    """One batch, oldest rows first. Rows that another purge deletes meanwhile are simply not there any more."""
    pks = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
    if not pks:
        return 0
    with transaction.atomic():
        _let_go(rows.model, pks)
        _delete_rows(rows.model._base_manager.filter(pk__in=pks))
    return len(pks)


def _let_go(model: type[models.Model], pks: Sequence[Any]) -> None:
    """What `on_delete` would do, set-based: SET_NULL references forget the rows, the others go with them."""
    for relation in model._meta.get_fields(include_hidden=True):
        if not isinstance(relation, models.ManyToOneRel):
            continue
        referring = relation.related_model._base_manager.filter(**{f"{relation.field.name}__in": pks})
        if relation.on_delete is models.SET_NULL:
            referring.update(**{relation.field.name: None})
        else:
            _let_go(relation.related_model, list(referring.values_list("pk", flat=True)))
            _delete_rows(referring)


def _delete_rows(rows: Rows) -> None:
    rows._raw_delete(rows.db)


def _one_time(now: datetime, expired: datetime) -> Iterator[Rows]:
    yield LimiterSlot.objects.filter(expires_at__lt=now)
    yield SpentToken.objects.filter(expires_at__lt=now)
    yield FlowState.objects.filter(expires_at__lt=expired)
    yield FlowSession.objects.filter(expire_date__lt=now)
    yield LogoutTransaction.objects.filter(expires_at__lt=expired)


def _tokens(old: datetime, expired: datetime) -> Iterator[Rows]:
    """Families that are revoked or expired go with their tokens; a living family keeps all of its own but access tokens."""
    yield AccessToken.rows.filter(expires__lt=expired)
    yield DeviceGrant.objects.filter(expires__lt=expired)
    dead = RefreshTokenFamily.objects.filter(
        Q(revoked_at__lt=old) | Q(expires_at__lt=old) | Q(idle_expires_at__lt=old) | _orphaned(old)
    )
    yield RefreshToken.objects.filter(family__in=dead)
    yield dead
    living = RefreshTokenFamily.objects.filter(code=OuterRef("pk"))
    yield AuthorizationCode.objects.filter(~Exists(living), expires__lt=expired)


def _orphaned(old: datetime) -> Q:
    """Session-bound, and the session ended long ago."""
    return Q(offline=False) & (Q(session__isnull=True, created_at__lt=old) | Q(session__ended_at__lt=old))


def _history(old: datetime) -> Iterator[Rows]:
    finished = LogoutDelivery.objects.filter(finished_at__lt=old)
    yield DeliveryAttempt.objects.filter(delivery__in=finished)
    yield finished
    pending = LogoutDelivery.objects.filter(event=OuterRef("pk"), state=DeliveryState.PENDING)
    yield LogoutEvent.objects.filter(~Exists(pending), at__lt=old)
    yield SessionClient.objects.filter(session__ended_at__lt=old)
    in_use = AccessToken.rows.filter(session=OuterRef("pk"))  # of an offline family, not expired yet
    yield SSOSession.objects.filter(~Exists(in_use), ended_at__lt=old)
    yield SessionEvent.objects.filter(at__lt=old)
