"""Deleting what is dead for good. Never django-oauth-toolkit's `clear_expired()`: it deletes living refresh tokens of ours."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from sessions_app.models import AccessToken, AuthorizationCode, DeviceGrant, RefreshTokenFamily

CODES_KEPT = timedelta(days=1)  # a replay is told from an unknown code for so long
FAMILIES_KEPT = timedelta(days=30)  # a reused token is told from an unknown one for so long


def purge_tokens(at: datetime) -> dict[str, int]:
    """Delete rows that can never come alive again and that no check needs any more; returns how many of each kind."""
    dead_family = Q(revoked_at__lt=at - FAMILIES_KEPT) | Q(expires_at__lt=at - FAMILIES_KEPT)
    living_children = (
        Exists(RefreshTokenFamily.objects.filter(code=OuterRef("pk"), revoked_at=None)),
        Exists(AccessToken.rows.filter(code=OuterRef("pk"), expires__gt=at)),
    )
    return {
        "access tokens": AccessToken.rows.filter(expires__lt=at).delete()[0],
        "refresh token families": RefreshTokenFamily.objects.filter(dead_family).delete()[0],
        "authorization codes": AuthorizationCode.objects.filter(
            ~living_children[0], ~living_children[1], expires__lt=at - CODES_KEPT
        ).delete()[0],
        "device codes": DeviceGrant.objects.filter(expires__lt=at).delete()[0],
    }
