"""For how long a key is published before it signs and after, from how long caches and tokens last. Nobody sets these times by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max
from django.db.models.signals import post_save

from idp.models import Application, KeyStatus, ResourceServer, SigningKey
from idp.protocol.bounds import MOST_SECONDS

# What nobody configures: logout tokens, security events and requests of ours end sooner, and an ID token is a good hint for longer
# than it is valid (RP-Initiated Logout 1.0 section 2).
OTHER_TOKENS = timedelta(days=1)


def cached() -> timedelta:
    """For how long others may keep the published set."""
    return timedelta(seconds=settings.JWKS_MAX_AGE)


def ahead() -> timedelta:
    """For how long a key is published before it signs: a copy may have been taken by a shared cache at the last moment, and from
    there at its last moment again. The same time covers clocks and requests that are under way when a key stops to sign."""
    return 2 * cached()


def period() -> timedelta:
    """After which a key has signed for long enough."""
    return timedelta(days=settings.SIGNING_KEY_DAYS)


def signs_from(key: SigningKey) -> datetime:
    """When a published key may sign first."""
    return key.created_at + ahead()


def ages(key: SigningKey) -> datetime:
    """When the successor of a key that signs is published."""
    return (key.activated_at or key.created_at) + period()


def published_until(key: SigningKey) -> datetime | None:
    """When the last token that a retired key signed is dead; None while it may sign another."""
    if key.retired_at is None:
        return None
    return key.retired_at + max(timedelta(seconds=key.longest_token), OTHER_TOKENS) + ahead()


def longest() -> int:
    """Seconds for which the longest token is valid that may be signed now."""
    found = (
        Application.objects.aggregate(most=Max("id_token_lifetime"))["most"],
        ResourceServer.objects.aggregate(most=Max("token_lifetime"))["most"],
    )
    return _within(max((seconds for seconds in found if seconds is not None), default=0))


def note(seconds: int) -> None:
    """Keys that sign now may have signed tokens of this lifetime, also when nobody may have one any more."""
    active = SigningKey.objects.filter(status=KeyStatus.ACTIVE)
    active.filter(longest_token__lt=_within(seconds)).update(longest_token=_within(seconds))


def watch() -> None:
    """Note longer lifetimes as soon as they are saved: they may be shorter again before anybody looks."""
    for model in (Application, ResourceServer):
        post_save.connect(_saved, sender=model, dispatch_uid=f"longest token of {model.__name__}")


def _saved(instance: Application | ResourceServer, **_: Any) -> None:
    seconds = instance.id_token_lifetime if isinstance(instance, Application) else instance.token_lifetime
    if seconds > OTHER_TOKENS.total_seconds():
        note(seconds)


def _within(seconds: int) -> int:
    return min(seconds, MOST_SECONDS)
