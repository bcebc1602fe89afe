"""A sign-in that signs nobody in: an administrator goes through a connection, open or closed, and is shown what would come of it."""

from __future__ import annotations

from datetime import datetime

from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables

from idp.connections.contract import Account, SignInRequest, UpstreamRefused
from idp.connections.registry import DIRECTORY_PROTOCOLS, REDIRECT_PROTOCOLS
from idp.limits import limiter
from idp.models import Connection, User
from sessions_app.signin import attempts, round_trip, sign_in

BY_ADMINISTRATOR = "an administrator tried the connection"
PASSED = "Signed in through it as a test: "  # how the line of the history begins


def is_offered(connection: Connection) -> bool:
    """Where somebody else says who people are. Of a database of ours everything that there is to see is seen on its people's pages."""
    return leads_elsewhere(connection) or takes_password(connection)


def leads_elsewhere(connection: Connection) -> bool:
    return connection.strategy in REDIRECT_PROTOCOLS


def takes_password(connection: Connection) -> bool:
    return connection.strategy in DIRECTORY_PROTOCOLS


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


@sensitive_variables("password")
def prove(request: HttpRequest, connection: Connection, login: str, password: str, at: datetime) -> Account | None:
    """The account of the directory whose password this is; None for a wrong name or password. Nothing of it is kept.

    Counted on the limits of a sign-in, and a wrong one has the same line in the trail: this page is no way around either.
    Raises TooManyAttempts, UpstreamRefused, UpstreamFault and TemporarilyUnavailable.
    """
    reservation = attempts.reserve(request, connection, login, at)
    try:
        account = DIRECTORY_PROTOCOLS[connection.strategy].prove(connection, login, password, at)
    except UpstreamRefused as refusal:
        sign_in.record_failure(request, connection, login, at, reason=f"{BY_ADMINISTRATOR}: {refusal.detail}")
        raise
    except Exception:  # nothing was tried
        limiter.give_back(reservation)
        raise
    if account is None:
        sign_in.record_failure(request, connection, login, at, reason=BY_ADMINISTRATOR)
    else:
        limiter.give_back(reservation)
    return account


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
