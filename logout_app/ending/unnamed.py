"""Does an identity provider name its sessions? One that does not cannot say which of ours is over: a finding of *Test connection*."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from idp import signals
from idp.connections.checks import Finding
from idp.models import Connection, Strategy
from sessions_app.models import SSOSession

# Entra's front channel says `sid` and nothing else, and its ID tokens have it only if an administrator there asks for it.
NEEDS = (
    "Its ID tokens name no session: when somebody signs out at Entra, their session here goes on. In the Entra admin center: "
    "App registrations, this application, Token configuration, Add optional claim, ID, sid. It counts from the next sign-in on."
)
HAS = "Its ID tokens name the session (sid), so that signing out at Entra can end ours."


@receiver(signals.connection_tested, dispatch_uid="does the provider name its sessions")
def findings(*, connection: Connection, at: datetime, **_: Any) -> list[Finding]:
    """By the newest session that lives; nothing is known where nobody is signed in."""
    if connection.strategy != Strategy.ENTRA:
        return []
    live = SSOSession.objects.live(at).filter(connection=connection).order_by("-auth_time")
    sid = live.values_list("upstream_sid", flat=True).first()
    if sid is None:
        return []
    return [Finding("ok", HAS) if sid else Finding("warning", NEEDS)]
