"""Tokens and one-time things that are dead for good, deleted in small batches so that no statement keeps a request waiting.

The one set of rules for the task that the calendar asks for (`logout_app.ending.purging`) and for `manage.py cleartokens`.
Never django-oauth-toolkit's `clear_expired()`: it deletes living refresh tokens of ours. How batches are found: `batches.py`.
Nothing that may still be alive is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.contrib.sessions.models import Session as FlowSession
from django.db.models import Exists, OuterRef, Q

from idp.models import Invitation, LimiterSlot, MailLink, SpentToken
from sessions_app.models import (
    AccessToken,
    AuthorizationCode,
    DeviceGrant,
    ExportJob,
    FlowState,
    ImportJob,
    PushedRequest,
    RefreshTokenFamily,
    RememberedBrowser,
    SecurityMail,
)
from sessions_app.session.batches import Batch, Rows, by_key, oldest_first
from sessions_app.transfer import exports

CLOCKS = timedelta(minutes=5)  # the worker's may be ahead of a web server's, and a request may be under way
AFTER_EXPIRY = timedelta(days=1)  # codes and tokens stay so long, for replay to be recognised and for support
KEPT_FOR = timedelta(
    days=7
)  # mails about accounts, longer than anybody would find their event again; jobs and their errors


def batches(now: datetime, retention_days: int) -> Iterator[Batch]:
    """Name and act of each kind of row. Nothing is asked of the database before an act is called: each may fail by itself."""
    expired, old = now - AFTER_EXPIRY, now - timedelta(days=retention_days)
    yield from _one_time(now, expired)
    yield oldest_first(Invitation.objects.filter(expires_at__lt=old), "expires_at")
    yield from _tokens(old, expired)
    yield oldest_first(ImportJob.objects.filter(finished_at__lt=now - KEPT_FOR), "finished_at")
    yield oldest_first(ExportJob.objects.filter(finished_at__lt=now - exports.KEPT_FOR), "finished_at")


def looked_for(now: datetime, retention_days: int, *, positions: Mapping[str, int] | None = None) -> Iterator[Batch]:
    """The same of what no index finds, after everything else: most of the time is for rows that stay.

    `positions`: where the run before ended, by the names of the kinds; None: whole tables are looked through at once.
    """
    expired, old = now - AFTER_EXPIRY, now - timedelta(days=retention_days)
    for rows in _without_index(old, expired):
        name = rows.model._meta.model_name or ""
        yield by_key(rows, after=None if positions is None else positions.get(name, 0))


def _one_time(now: datetime, expired: datetime) -> Iterator[Batch]:
    everywhere = now - CLOCKS  # or what was used, or tried too often, would be as new
    yield oldest_first(LimiterSlot.objects.filter(expires_at__lt=everywhere), "expires_at")
    yield oldest_first(SpentToken.objects.filter(expires_at__lt=everywhere), "expires_at")
    yield oldest_first(FlowState.objects.filter(expires_at__lt=expired), "expires_at")
    long_requests = FlowState.objects.filter(kind=FlowState.LONG_REQUEST)  # large, and of no use any more
    yield oldest_first(long_requests.filter(expires_at__lt=now), "expires_at")
    yield oldest_first(PushedRequest.objects.filter(expires_at__lt=expired), "expires_at")
    links = MailLink.objects.filter(expires_at__lt=now - KEPT_FOR)  # so long a page says what became of a link
    yield oldest_first(links, "expires_at")
    yield oldest_first(RememberedBrowser.objects.filter(expires_at__lt=now), "expires_at")
    yield oldest_first(SecurityMail.objects.filter(done_at__lt=now - KEPT_FOR), "done_at")
    yield oldest_first(FlowSession.objects.filter(expire_date__lt=now), "expire_date")


def _tokens(old: datetime, expired: datetime) -> Iterator[Batch]:
    """Families that are revoked or expired go with their tokens; a living family keeps all of its own but access tokens.

    A dead family stays until `old`, so that a reused token is told from an unknown one.
    """
    yield oldest_first(AccessToken.rows.filter(expires__lt=expired), "expires")
    yield oldest_first(DeviceGrant.objects.filter(expires__lt=expired), "expires")
    yield oldest_first(RefreshTokenFamily.objects.filter(revoked_at__lt=old), "revoked_at")
    bound = RefreshTokenFamily.objects.filter(offline=False, session__ended_at__lt=old)
    yield oldest_first(bound, "session__ended_at")


def _without_index(old: datetime, expired: datetime) -> Iterator[Rows]:
    """An index of when a family falls idle would be written by each refresh.

    A code stays as long as something that it made, so that a replay still finds what to revoke: nearly all that are expired.
    """
    is_orphan = Q(offline=False, session=None, created_at__lt=old)
    yield RefreshTokenFamily.objects.filter(Q(expires_at__lt=old) | Q(idle_expires_at__lt=old) | is_orphan)
    families = RefreshTokenFamily.objects.filter(code=OuterRef("pk"))
    tokens = AccessToken.rows.filter(code=OuterRef("pk"))
    yield AuthorizationCode.objects.filter(~Exists(families), ~Exists(tokens), expires__lt=expired)
