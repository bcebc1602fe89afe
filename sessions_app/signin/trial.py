"""A sign-in that signs nobody in: an administrator goes through a connection, open or closed, and is shown what would come of it."""

from __future__ import annotations

from datetime import datetime

from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest, HttpResponse

from idp.connections.contract import SignInRequest
from idp.connections.registry import REDIRECT_PROTOCOLS
from idp.models import Connection, User
from sessions_app.signin import round_trip

PASSED = "Signed in through it as a test: "  # how the line of the history begins


def is_offered(connection: Connection) -> bool:
    """Where people sign in elsewhere; of a password that is typed here nothing else comes than of the connection's test."""
    return connection.strategy in REDIRECT_PROTOCOLS


def start(request: HttpRequest, connection: Connection, back: str, at: datetime) -> HttpResponse:
    """Send the administrator's browser upstream; `back` is the connection's page. Raises UpstreamFault."""
    away = round_trip.start(request, connection, SignInRequest(), back, at, tried_by=request.user.pk)
    if not away.has_header("Location"):
        return away
    page = round_trip.onward(
        request, away.headers["Location"]
    )  # the policy of the form that led here ends at our origin
    page.cookies = away.cookies
    return page


def may_see(user: object, trip: round_trip.Trip) -> bool:
    """Whoever began it, as long as they are still allowed to."""
    return (
        isinstance(user, User) and user.pk == trip.tried_by and user.is_staff and user.has_perm("idp.change_connection")
    )


def passed(user: User, connection: Connection, sub: str) -> None:
    """A line of the connection's history."""
    rows = Connection.objects.filter(pk=connection.pk)
    LogEntry.objects.log_actions(user.pk, rows, CHANGE, change_message=f"{PASSED}{sub}", single_object=True)


def last_passed(connection: Connection) -> datetime | None:
    lines = LogEntry.objects.filter(
        content_type__app_label="idp",
        content_type__model="connection",
        object_id=str(connection.pk),
        change_message__startswith=PASSED,
    )
    return lines.order_by("-action_time").values_list("action_time", flat=True).first()
