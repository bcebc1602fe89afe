"""Families of refresh tokens die by somebody else's word than their person's: each with its line in the trail."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q, QuerySet

from idp.http.requests import RequestFacts
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import RefreshTokenFamily


def living(at: datetime) -> QuerySet[RefreshTokenFamily]:
    """What `RefreshTokenFamily.is_alive` says of one row, as a condition."""
    session_lives = Q(
        session__ended_at=None,
        session__expires_at__gt=at,
        session__idle_expires_at__gt=at,
    ) & (Q(user__revoked_before=None) | Q(session__auth_time__gt=F("user__revoked_before")))
    return RefreshTokenFamily.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=at),
        Q(idle_expires_at=None) | Q(idle_expires_at__gt=at),
        Q(user__revoked_before=None) | Q(auth_time__gt=F("user__revoked_before")),
        Q(offline=True) | session_lives,
        revoked_at=None,
        user__is_active=True,
    )


def revoke(rows: QuerySet[RefreshTokenFamily], *, actor: str, facts: RequestFacts, at: datetime, reason: str) -> int:
    """How many died by this. Their access tokens are dead with them."""
    with transaction.atomic():
        found = list(
            rows.filter(revoked_at=None)
            .select_related("user", "application")
            .select_for_update(no_key=True, of=("self",))
            .order_by("pk")
        )
        RefreshTokenFamily.objects.filter(pk__in=[row.pk for row in found]).update(revoked_at=at, revoke_reason=reason)
        for row in found:
            trail.record(
                EventType.REFRESH_TOKEN_REVOKED,
                user=row.user,
                application=row.application,
                facts=facts,
                at=at,
                actor=actor,
                data={"family": row.public_id},
            )
    return len(found)
