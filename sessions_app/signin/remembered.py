"""Browsers in which somebody is not asked for a second factor for a while, because they proved one there and said so.

A browser holds random tokens, of which we keep the hash with the person that each is for. A token is always new: what a
browser brought along, which somebody else may have planted there, is never bound to anybody. It spares the question and
proves nothing: `amr` does not name a second factor (ADR 48).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from idp import signals
from idp.http.requests import RequestFacts, facts
from idp.models import TenantSettings, User, began_before
from idp.protocol.opaque import digest, new_secret
from idp.tenants import profile
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.audit.heard import facts_of_act
from sessions_app.models import RememberedBrowser, SSOSession
from sessions_app.session.binding import browser_of

MOST = 5  # people of one browser; the cookie has a token for each
BETWEEN = "."
LONGEST = 100  # characters of one token


def until(request: HttpRequest, user: User, tenant: TenantSettings, at: datetime) -> datetime | None:
    """When this browser will be asked again for this person's second factor; None: now.

    A tenant that shortens the time shortens what was promised; what began before a revocation is dead.
    """
    tokens = _tokens(request)
    if not tokens or not profile.remembered_days(tenant):
        return None
    hashes = [digest(token) for token in tokens]
    row = RememberedBrowser.objects.filter(user=user, token_hash__in=hashes).order_by("-expires_at").first()
    return _end(row, tenant, at) if row is not None and not began_before(row.created_at, user.revoked_before) else None


def remember(request: HttpRequest, user: User, tenant: TenantSettings, at: datetime) -> None:
    """From now on, for as many days as the tenant says. The middleware writes the cookie."""
    days, said, token = profile.remembered_days(tenant), facts(request), new_secret()
    if not days:
        return
    with transaction.atomic():
        RememberedBrowser.objects.create(
            user=user,
            token_hash=digest(token),
            created_at=at,
            expires_at=at + timedelta(days=days),
            ip=said.ip,
            user_agent=said.user_agent,
        )
        trail.record(EventType.BROWSER_REMEMBERED, user=user, actor="user", facts=said, at=at, data={"days": days})
    browser_of(request).new_remembered_cookie = BETWEEN.join([token, *_tokens(request)[: MOST - 1]])


def of_person(user: User, tenant: TenantSettings, at: datetime) -> list[RememberedBrowser]:
    """Those that still count, the newest first, with the end as the tenant has it now."""
    found = []
    for row in RememberedBrowser.objects.filter(user=user).order_by("-created_at", "-pk"):
        end = _end(row, tenant, at)
        if end is not None and not began_before(row.created_at, user.revoked_before):
            row.expires_at = end
            found.append(row)
    return found


def forget(user: User, pk: int, said: RequestFacts, at: datetime) -> bool:
    """One browser, by its person. Sessions in which the question was spared meet it at the next application that insists."""
    return _forget(user, {"pk": pk}, "user", said, at)


@receiver(signals.password_changed, dispatch_uid="remembered browsers: password changed")
@receiver(signals.address_proved, dispatch_uid="remembered browsers: address proved")
@receiver(signals.mfa_added, dispatch_uid="remembered browsers: factor added")
@receiver(signals.mfa_removed, dispatch_uid="remembered browsers: factor removed")
@receiver(signals.user_blocked, dispatch_uid="remembered browsers: blocked")
@receiver(signals.person_deprovisioned, dispatch_uid="remembered browsers: deprovisioned")
def _forget_all(user: User, actor: str, at: datetime, **_: Any) -> None:
    _forget(user, {}, actor, facts_of_act(), at)


def _forget(user: User, which: dict[str, int], actor: str, said: RequestFacts | None, at: datetime) -> bool:
    """The mark on sessions stays, in the past: they were spared once, so that changing factors asks for one (`gate`)."""
    with transaction.atomic():
        gone, _ = RememberedBrowser.objects.filter(user=user, **which).delete()
        spared = SSOSession.objects.filter(user=user, ended_at=None, remembered_until__gt=at)
        if gone:
            spared.update(remembered_until=at)
            data = {"browsers": gone}
            trail.record(EventType.BROWSERS_FORGOTTEN, user=user, actor=actor, facts=said, at=at, data=data)
    return bool(gone)


def set_cookie(response: HttpResponse, value: str, tenant: TenantSettings) -> None:
    response.set_cookie(
        settings.REMEMBERED_COOKIE_NAME,
        value,
        max_age=timedelta(days=profile.remembered_days(tenant)),
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def _tokens(request: HttpRequest) -> list[str]:
    sent = request.COOKIES.get(settings.REMEMBERED_COOKIE_NAME, "")
    return [token for token in sent.split(BETWEEN)[:MOST] if 0 < len(token) <= LONGEST]


def _end(row: RememberedBrowser, tenant: TenantSettings, at: datetime) -> datetime | None:
    end = min(row.expires_at, row.created_at + timedelta(days=profile.remembered_days(tenant)))
    return end if end > at else None
