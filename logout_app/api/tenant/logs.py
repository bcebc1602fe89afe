"""The audit trail as Auth0's logs: newest first in pages, or after a checkpoint from the oldest on. Numbers of a month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.db.models.functions import TruncDate

from idp.database.standby import reading as standby
from idp.models import Application, Connection, User
from logout_app.api.frame import lucene, paging
from logout_app.api.frame.errors import ApiError, invalid_query
from logout_app.api.frame.operations import FIELDS, PAGES, Call, Operation
from logout_app.api.frame.parameters import LAST_PAGE, MOST
from logout_app.api.frame.query import is_reckonable
from logout_app.api.frame.times import iso
from logout_app.api.people import found
from sessions_app.audit import events, listing
from sessions_app.audit.events import EventType
from sessions_app.audit.history import Recorded

FARTHEST = 1000  # rows that pages reach, as at Auth0; further back by checkpoint
ACTIVE_FOR = timedelta(days=30)
MOST_DAYS = 366
CODES: dict[EventType, str] = {  # Auth0's code for what it has too; the others are called as in our trail
    EventType.OPENED: "s",
    EventType.ENDED: "slo",
    EventType.SIGN_IN_FAILED: "fp",
    EventType.UPSTREAM_SIGN_IN_FAILED: "f",
    EventType.SIGN_IN_THROTTLED: "limit_wc",
    EventType.GUESSING_THROTTLED: "api_limit",
    EventType.SECOND_FACTOR_FAILED: "gd_auth_failed",
    EventType.SECOND_FACTOR_THROTTLED: "gd_otp_rate_limit_exceed",
    EventType.SECOND_FACTOR_ADDED: "gd_enrollment_complete",
    EventType.SECOND_FACTOR_REMOVED: "gd_unenroll",
    EventType.PASSWORD_CHANGED: "scp",
    EventType.REFRESH_TOKEN_REUSED: "ferrt",
    EventType.REFRESH_TOKEN_REVOKED: "srrt",
    EventType.AUTHORIZATION_CODE_REPLAYED: "feacft",
    EventType.API_OPERATION: "sapi",
}
KINDS = {code: kind for kind, code in CODES.items()}
QUERIED = {
    "type": "type",
    "user_id": "sub",
    "client_id": "client_id",
    "connection": "connection",
    "ip": "ip",
    "session_id": "sid",
    "actor": "actor",
}


def list_logs(call: Call) -> Any:
    condition = _condition(call.query.text("q"))
    if call.query.has("from"):
        size = call.query.integer("take", paging.USUAL, least=1, most=MOST)
        after = _key(call.query.text("from"))
        return NamedLogs(list(listing.lines(condition & Q(pk__gt=after)).order_by("pk")[:size])).shapes
    if call.query.has("take"):
        size = call.query.integer("take", paging.USUAL, least=1, most=MOST)
        return NamedLogs(list(listing.lines(condition).order_by("pk")[:size])).shapes
    return _page(call, listing.lines(condition).order_by(*_order(call.query.text("sort"))))


def of_user(call: Call, user_id: str) -> Any:
    found.pk_of(user_id)
    return _page(call, listing.lines(Q(sub=user_id)).order_by("-at", "-pk"))


def get(call: Call, log_id: str) -> Any:
    row = listing.lines(Q(pk=_key(log_id))).first() if log_id.isascii() and log_id.isdigit() else None
    if row is None:
        raise ApiError(404, "The log event does not exist", "inexistent_log")
    return NamedLogs([row]).shapes[0]


def _page(call: Call, rows: listing.Lines) -> Any:
    page = call.query.integer("page", 0, most=LAST_PAGE)
    size = call.query.integer("per_page", paging.USUAL, most=MOST) or paging.USUAL
    start = page * size
    if start + size > FARTHEST:
        raise invalid_query(f"'You can only page through the first {FARTHEST} records: go on with from and take'.")
    shown = NamedLogs(list(rows[start : start + size])).shapes
    if not call.query.boolean("include_totals"):
        return shown
    return {"start": start, "limit": size, "length": len(shown), "total": _total(rows), "logs": shown}


def _total(rows: listing.Lines) -> int:
    """Of what pages reach: to count millions would take longer than to read them."""
    return len(rows.values_list("pk", flat=True)[:FARTHEST])


def _condition(typed: str) -> Q:
    condition = Q()
    for term in lucene.terms(typed, list(QUERIED)):
        value = KINDS[term.value].value if term.field == "type" and term.value in KINDS else term.value
        if term.begins or term.field not in QUERIED:
            raise lucene.not_understood(list(QUERIED))
        if term.field == "ip" and not all(character in "0123456789abcdefABCDEF.:" for character in value):
            raise invalid_query("'An address of the network is expected' on property ip.")
        one = Q(**{QUERIED[term.field]: value})
        condition &= ~one if term.negated else one
    return condition


def _order(asked: str) -> tuple[str, ...]:
    if asked not in ("", "date:-1", "date:1"):
        raise invalid_query("'Sort by date:-1 or date:1' on property sort.")
    return ("pk",) if asked == "date:1" else ("-pk",)


def _key(log_id: str) -> int:
    if not (log_id.isascii() and log_id.isdigit()) or len(log_id) > 20:
        raise invalid_query("'The log id is none' on property from.")
    return min(int(log_id), 2**63 - 1)


class NamedLogs:
    """Lines with the names beside the ids: three statements however many there are."""

    def __init__(self, rows: list[Recorded]) -> None:
        self._rows = rows
        subs, clients = {row.sub for row in rows} - {""}, {row.client_id for row in rows} - {""}
        names = {row.connection for row in rows} - {""}
        self._people = dict(User.objects.filter(user_id__in=subs).values_list("user_id", "email")) if subs else {}
        self._clients = _pairs(Application, "client_id", "name", clients)
        self._connections = _pairs(Connection, "name", "public_id", names)

    @property
    def shapes(self) -> list[dict[str, Any]]:
        return [self._shape(row) for row in self._rows]

    def _shape(self, row: Recorded) -> dict[str, Any]:
        kind = events.kind(row.type)
        said: dict[str, Any] = {
            "_id": f"{row.pk:020d}",
            "log_id": f"{row.pk:020d}",
            "date": iso(row.at),
            "type": CODES.get(kind, row.type) if kind else row.type,
            "description": events.words(row.type),
            "client_id": row.client_id,
            "client_name": self._clients.get(row.client_id, ""),
            "ip": row.ip or "",
            "user_agent": row.user_agent,
            "user_id": row.sub,
            "user_name": self._people.get(row.sub, ""),
            "connection": row.connection,
            "connection_id": self._connections.get(row.connection, ""),
            "session_id": row.sid,
            "details": {"event": row.type, "actor": row.actor, "initiator": row.initiator, "data": row.data},
        }
        return {name: value for name, value in said.items() if value not in ("", None)}


def _pairs(model: Any, key: str, value: str, wanted: set[str]) -> dict[str, str]:
    return dict(model.objects.filter(**{f"{key}__in": wanted}).values_list(key, value)) if wanted else {}


def active_users(call: Call) -> Any:
    return listing.people_who_signed_in(call.at - ACTIVE_FOR)


def daily(call: Call) -> Any:
    since = _day(call.query.text("from"), call.at - ACTIVE_FOR)
    until = _day(call.query.text("to"), call.at) + timedelta(days=1)
    if not timedelta() < until - since <= timedelta(days=MOST_DAYS):
        raise invalid_query(f"'from and to are at most {MOST_DAYS} days apart'.")
    signed_in = dict(listing.sign_ins_by_day(since, until))
    created = standby.rows(User.objects.filter(created_at__gte=since, created_at__lt=until))
    new = dict(created.values_list(TruncDate("created_at", tzinfo=UTC)).annotate(n=Count("pk")).order_by())
    days = [(since + timedelta(days=one)).date() for one in range((until - since).days)]
    return [
        {
            "date": f"{day}T00:00:00.000Z",
            "logins": signed_in.get(day, 0),
            "signups": new.get(day, 0),
            "leaked_passwords": 0,
        }
        for day in days
    ]


def _day(said: str, otherwise: datetime) -> datetime:
    """Midnight UTC of `YYYYMMDD`."""
    try:
        found = datetime.strptime(said, "%Y%m%d").replace(tzinfo=UTC) if said else otherwise.astimezone(UTC)
    except ValueError:
        found = None
    if found is None or not is_reckonable(found):
        raise invalid_query("'A day like 20261130 is expected' on properties from and to.")
    return found.replace(hour=0, minute=0, second=0, microsecond=0)


OPERATIONS = (
    Operation("GET", "logs", ["read:logs"], list_logs,
              "The audit trail: pages reach 1,000 lines back, `from` (a log id) and `take` everything that is kept.",
              query=(*PAGES, *FIELDS, "from", "take", "q", "sort"), listed="logs", standby=True),
    Operation("GET", "logs/<str:log_id>", ["read:logs"], get, "One line."),
    Operation("GET", "users/<str:user_id>/logs", ["read:logs"], of_user, "What the trail tells of somebody.",
              query=(*PAGES, "sort"), listed="logs", standby=True),
    Operation("GET", "stats/active-users", ["read:stats"], active_users, "How many people signed in within 30 days.",
              standby=True),
    Operation("GET", "stats/daily", ["read:stats"], daily, "Sign-ins and new people of each day.", query=("from", "to"),
              standby=True),
)  # fmt: skip
