"""Tokens and one-time things that are dead for good, deleted in small batches so that no statement keeps a request waiting.

The one set of rules for the task that runs each hour (`logout_app.tasks.purge_history`) and for `manage.py cleartokens`.
Never django-oauth-toolkit's `clear_expired()`: it deletes living refresh tokens of ours.

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

from idp.models import Invitation, LimiterSlot, MailLink, SpentToken
from sessions_app.audit import permit
from sessions_app.models import (
    AccessToken,
    AuthorizationCode,
    DeviceGrant,
    ExportJob,
    FlowState,
    ImportJob,
    PushedRequest,
    RefreshToken,
    RefreshTokenFamily,
    RememberedBrowser,
    SecurityMail,
)
from sessions_app.transfer import exports

BATCH = 500
AFTER_EXPIRY = timedelta(days=1)  # codes and tokens stay so long, for replay to be recognised and for support
KEPT_FOR = timedelta(
    days=7
)  # mails about accounts, longer than anybody would find their event again; jobs and their errors
Rows = QuerySet[Any, Any]
Batch = tuple[str, Callable[[], int]]


def batches(now: datetime, retention_days: int) -> Iterator[Batch]:
    """Name and act of each kind of row; an act deletes up to BATCH rows and returns how many."""
    yield from named(_one_time(now, now - AFTER_EXPIRY))
    yield from named(iter([Invitation.objects.filter(expires_at__lt=now - timedelta(days=retention_days))]))
    yield from named(_tokens(now - timedelta(days=retention_days), now - AFTER_EXPIRY))
    yield from named(iter([ImportJob.objects.filter(finished_at__lt=now - KEPT_FOR)]))
    yield from named(iter([ExportJob.objects.filter(finished_at__lt=now - exports.KEPT_FOR)]))


def named(querysets: Iterator[Rows]) -> Iterator[Batch]:
    for rows in querysets:
        yield rows.model._meta.model_name or "", partial(delete, rows)


def delete(rows: Rows) -> int:
    """One batch, oldest rows first. Rows that another purge deletes meanwhile are simply not there any more."""
    pks = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
    if not pks:
        return 0
    with transaction.atomic(), permit.to_purge(rows.model):
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
    yield FlowState.objects.filter(kind=FlowState.LONG_REQUEST, expires_at__lt=now)  # large, and of no use any more
    yield PushedRequest.objects.filter(expires_at__lt=expired)
    yield MailLink.objects.filter(expires_at__lt=now - KEPT_FOR)  # so long a page says what became of a link
    yield RememberedBrowser.objects.filter(expires_at__lt=now)
    yield SecurityMail.objects.filter(done_at__lt=now - KEPT_FOR)
    yield FlowSession.objects.filter(expire_date__lt=now)


def _tokens(old: datetime, expired: datetime) -> Iterator[Rows]:
    """Families that are revoked or expired go with their tokens; a living family keeps all of its own but access tokens.

    A dead family stays until `old`, so that a reused token is told from an unknown one; a code stays as long as
    something that it made, so that a replay still finds what to revoke.
    """
    yield AccessToken.rows.filter(expires__lt=expired)
    yield DeviceGrant.objects.filter(expires__lt=expired)
    dead = RefreshTokenFamily.objects.filter(
        Q(revoked_at__lt=old) | Q(expires_at__lt=old) | Q(idle_expires_at__lt=old) | _orphaned(old)
    )
    yield RefreshToken.objects.filter(family__in=dead)
    yield dead
    families = RefreshTokenFamily.objects.filter(code=OuterRef("pk"))
    tokens = AccessToken.rows.filter(code=OuterRef("pk"))
    yield AuthorizationCode.objects.filter(~Exists(families), ~Exists(tokens), expires__lt=expired)


def _orphaned(old: datetime) -> Q:
    """Session-bound, and the session ended long ago."""
    return Q(offline=False) & (Q(session__isnull=True, created_at__lt=old) | Q(session__ended_at__lt=old))
