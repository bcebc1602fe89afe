"""The source of a person says that they must be out: everything of theirs ends, in the transaction of its request."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from idp import signals
from idp.http.requests import RequestFacts
from idp.models import Connection, User
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from sessions_app.audit import trail
from sessions_app.audit.events import EventType


@receiver(signals.person_deprovisioned, dispatch_uid="the door: deprovisioned")
def _deprovisioned(
    user: User, connection: Connection, why: str, actor: str, at: datetime, facts: RequestFacts | None, **_: Any
) -> None:
    ended = end_sessions(
        Selection.user(user.pk), initiator=Initiator.DEPROVISIONED, actor=actor, at=at, offline_tokens=True
    )
    user.revoked_before = at  # a later save() of this instance must not write the old mark back
    trail.record(
        EventType.DEPROVISIONED,
        user=user,
        connection=connection,
        initiator=Initiator.DEPROVISIONED,
        actor=actor,
        facts=facts,
        at=at,
        data={
            "event": ended.event.pk if ended.event else None,
            "sessions_ended": len(ended.session_pks),
            "why": why,
        },
    )
