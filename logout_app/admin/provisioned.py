"""What a connection's source wrote lately, what that ended, and how long it took until every application was told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q
from django.urls import reverse

from idp.admin.connections.heard import Heard
from idp.models import Connection
from logout_app.models import LogoutEvent
from sessions_app.audit import history
from sessions_app.audit.events import EventType

SHOWN = 15
KINDS = (EventType.PROVISIONED, EventType.DEPROVISIONED, EventType.PROVISIONING_REFUSED)


def lately(connection: Connection) -> Sequence[Heard]:
    """Newest first."""
    return [_heard(line) for line in history.of_connection(connection.name, KINDS, SHOWN)]


def _heard(line: Any) -> Heard:
    if line.type == EventType.DEPROVISIONED:
        return _ended(line)
    if line.type == EventType.PROVISIONING_REFUSED:
        text = f"Refused {line.data.get('what')} with {line.data.get('status')}: {line.data.get('reason')}"
        return Heard(line.at, "bad", text)
    about = line.data.get("group") or line.sub or "nobody"
    attributes = ", ".join(line.data.get("attributes") or ())
    return Heard(
        line.at, "fine", f"{str(line.data.get('act', '')).capitalize()}: {about}{attributes and f' ({attributes})'}."
    )


def _ended(line: Any) -> Heard:
    count = line.data.get("sessions_ended") or 0
    text = f"{line.sub} is out ({line.data.get('why')}): {count} session{'s' * (count != 1)} ended."
    event = LogoutEvent.objects.filter(pk=line.data.get("event")).first() if line.data.get("event") else None
    if event is None:
        return Heard(line.at, "fine", text)
    url = reverse("admin:logout_app_logoutevent_change", args=(event.pk,))
    return Heard(line.at, "fine", f"{text} {told(event, line.at)}".strip(), url)


def lag(connection: Connection) -> str:
    """Of the last deactivation that any application had to hear of; "" if there was none."""
    for line in history.of_connection(connection.name, (EventType.DEPROVISIONED,), SHOWN):
        event = LogoutEvent.objects.filter(pk=line.data.get("event")).first() if line.data.get("event") else None
        if event is not None and (sentence := told(event, line.at)):
            return f"{sentence} ({line.at:%Y-%m-%d %H:%M})"
    return ""


def told(event: LogoutEvent, since: datetime) -> str:
    """From the request until the last application was told; while some are not, how many."""
    found = event.deliveries.aggregate(
        all=Count("pk"), open=Count("pk", filter=Q(finished_at=None)), last=Max("finished_at")
    )
    if not found["all"]:
        return ""
    if found["open"]:
        return f"{found['open']} of {found['all']} deliveries are under way."
    return f"Everybody was told after {max(0.0, (found['last'] - since).total_seconds()):.1f} s."
