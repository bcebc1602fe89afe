"""Connections in the admin, with what their identity providers told us."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.urls import reverse

from idp.admin.connections import pages
from idp.admin.connections.heard import Heard
from idp.models import Connection
from logout_app.models import RevocationRequest

SHOWN = 10  # requests; the newest


@admin.register(Connection)
class ConnectionAdmin(pages.ConnectionAdmin):
    """Registered here, so that what ends sessions can be shown and done on the page."""

    def heard(self, connection: Connection) -> Sequence[Heard]:
        """The last Global Token Revocation requests in the connection's name, and what they were answered."""
        rows = RevocationRequest.objects.filter(connection=connection).select_related("event").order_by("-at", "-pk")
        return [_heard(row) for row in rows[:SHOWN]]


def _heard(request: RevocationRequest) -> Heard:
    whom = request.sub or request.subject or "nobody"
    url = reverse("admin:logout_app_logoutevent_change", args=(request.event_id,)) if request.event_id else ""
    if request.status == 204:
        ended = request.event.sessions_ended if request.event else 0
        text = f"Revoked everything of {whom}: {ended} session{'s' * (ended != 1)} ended."
        return Heard(request.at, "fine", text, url)
    about = f" (about {whom})" if request.subject else ""
    return Heard(request.at, "bad", f"Refused with {request.status}{about}: {request.reason}", url)
