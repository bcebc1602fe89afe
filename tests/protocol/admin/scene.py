"""An installation in which something happened: Mary left three applications, and one of each answer came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from idp.crypto import keys
from idp.models import Application, User
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import DeliveryAttempt, DeliveryState, LogoutDelivery, LogoutEvent
from sessions_app.models import RefreshTokenFamily, SSOSession
from tests.support.factories import make_application, make_session, make_user

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"


@dataclass
class Scene:
    mary: User
    ended: SSOSession
    debugger: Application
    sharepoint: Application
    timesheet: Application
    wiki: Application  # has no logout URL


def scene() -> Scene:
    keys.ensure()
    told = [
        make_application(name, backchannel_logout_uri=f"https://{name.split()[0].lower()}.example/backchannel")
        for name in ("JWT Debugger", "SharePoint Intranet", "Timesheet SaaS")
    ]
    wiki = make_application("Old Wiki")
    mary = make_user()
    began = timezone.now() - timedelta(hours=2)
    ended = make_session(
        mary, *told, wiki, created_at=began, auth_time=began, initial_ip="203.0.113.7", last_user_agent=FIREFOX
    )
    return Scene(mary, ended, told[0], told[1], told[2], wiki)


def end(session: SSOSession, at: datetime | None = None) -> LogoutEvent:
    end_sessions(
        Selection.session(session.pk),
        initiator=Initiator.RP_LOGOUT,
        actor="user",
        at=at or timezone.now(),
        offline_tokens=False,
    )
    return LogoutEvent.objects.latest("pk")


def came_of(
    application: Application, state: str, *, status: int | None = None, reason: str = "", after: float = 0.4
) -> None:
    """What the worker would have written for every delivery to this application that still waits."""
    for row in LogoutDelivery.objects.filter(application=application, state=DeliveryState.PENDING):
        started = row.created_at + timedelta(seconds=after)
        DeliveryAttempt.objects.create(
            delivery=row, number=1, started_at=started, duration_ms=90, status=status, outcome=state, reason=reason
        )
        LogoutDelivery.objects.filter(pk=row.pk).update(
            state=state, attempts=1, last_status=status, last_reason=reason,
            finished_at=None if state == DeliveryState.PENDING else started,
        )  # fmt: skip


def refresh_tokens(user: User, application: Application, *, offline: bool) -> RefreshTokenFamily:
    return RefreshTokenFamily.objects.create(
        user=user, application=application, offline=offline, auth_time=timezone.now()
    )
