"""`manage.py signed_in [PERSON]`: who is signed in, where, and to what."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from idp.operations.terminal import table
from logout_app.operators import people
from logout_app.operators.people import NotFound
from sessions_app.models import RefreshTokenFamily, SSOSession

MOST = 100


class Command(BaseCommand):
    help = f"The live sessions of a person, or the {MOST} newest of all, with the applications of each."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("person", nargs="?", help="Address, name, user id, or the sid of a session.")
        parser.add_argument("--json", action="store_true", help="One JSON document.")

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        live = SSOSession.objects.live(at)
        offline = RefreshTokenFamily.objects.filter(session=None, revoked_at=None)
        try:
            if options["person"]:
                person = people.person(options["person"])
                live, offline = live.filter(user=person), offline.filter(user=person)
        except NotFound as nobody:
            raise CommandError(str(nobody)) from None
        count = live.count()
        joined = live.select_related("user", "connection").prefetch_related("clients__application")
        rows = [_row(session) for session in joined.order_by("-last_seen_at", "-pk")[:MOST]]
        if options["json"]:
            found = {"sessions": rows, "total": count, "offline_tokens": offline.count()}
            self.stdout.write(json.dumps(found, ensure_ascii=False, indent=2))
        else:
            self._say(rows, count, offline.count())

    def _say(self, rows: list[dict[str, Any]], count: int, offline: int) -> None:
        if rows:
            heading = ("sid", "person", "through", "since (UTC)", "last seen", "from", "applications")
            lines = [
                (row["sid"], row["person"], row["connection"], row["auth_time"][:16], row["last_seen"][:16], row["ip"])
                for row in rows
            ]
            apps = [", ".join(row["applications"]) or "none" for row in rows]
            self.stdout.write(table(heading, [(*line, names) for line, names in zip(lines, apps, strict=True)]))
        more = f", the newest {len(rows)} above" if count > len(rows) else ""
        self.stdout.write(
            f"{count} live session{'s' * (count != 1)}{more}; {offline} refresh tokens outlive any session."
        )


def _row(session: SSOSession) -> dict[str, Any]:
    return {
        "sid": session.sid,
        "user_id": session.user.user_id,
        "person": str(session.user),
        "connection": session.connection.name if session.connection else "",
        "auth_time": _moment(session.auth_time),
        "last_seen": _moment(session.last_seen_at),
        "expires": _moment(min(session.expires_at, session.idle_expires_at)),
        "ip": session.last_ip or session.initial_ip or "",
        "must_be_proved_again": session.is_stale,
        "applications": sorted(client.application.name for client in session.clients.all()),
    }


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
