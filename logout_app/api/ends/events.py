"""Ends and deliveries: what ended, who is told, what came of it, and once more. Ours, not Auth0's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet

from idp.models import Application, User
from logout_app.api.frame import paging
from logout_app.api.frame.errors import ApiError, invalid_query, not_found
from logout_app.api.frame.operations import CHECKPOINTS, FIELDS, Call, Operation
from logout_app.api.frame.times import iso
from logout_app.delivery import redeliver
from logout_app.evidence import report
from logout_app.evidence.document import document
from logout_app.evidence.report import Asked
from logout_app.models import DeliveryAttempt, DeliveryState, LogoutDelivery, LogoutEvent

HIGHEST = 2**63 - 1


def list_events(call: Call) -> Any:
    rows = LogoutEvent.objects.select_related("user")
    if user_id := call.query.text("user_id"):
        person = User.objects.filter(user_id=user_id).values_list("pk", flat=True).first()
        rows = rows.filter(Q(sub=user_id) | Q(user=person) if person else Q(sub=user_id))
    if initiator := call.query.text("initiator"):
        rows = rows.filter(initiator=initiator)
    return paging.checkpoints(call, rows, "logout_events", event, newest_first=True)


def get_event(call: Call, event_id: str) -> Any:
    row = LogoutEvent.objects.select_related("user").filter(pk=_key(event_id)).first()
    if row is None:
        raise not_found("logout_event")
    return event(row)


def event(row: LogoutEvent) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "at": iso(row.at),
        "initiator": row.initiator,
        "actor": row.actor,
        "user_id": row.sub or (row.user.user_id if row.user else None),
        "sessions_ended": row.sessions_ended,
        "refresh_tokens_revoked": row.families_revoked,
    }


def list_deliveries(call: Call) -> Any:
    rows = _deliveries()
    query = call.query
    if (state := query.text("state")) and state not in DeliveryState.values:
        raise invalid_query(f"'One of {', '.join(DeliveryState.values)} is expected' on property state.")
    for name, column in (("state", "state"), ("client_id", "client_id"), ("user_id", "sub"), ("session_id", "sid")):
        if value := query.text(name):
            rows = rows.filter(**{column: value})
    if event_id := query.text("event_id"):
        rows = rows.filter(event=_key(event_id))
    return paging.checkpoints(call, rows, "deliveries", delivery, newest_first=True)


def get_delivery(call: Call, delivery_id: str) -> Any:
    row = _delivery(delivery_id)
    attempts = row.attempt_log.order_by("number")
    return delivery(row) | {"attempts": [_attempt(one) for one in attempts]}


def delivery(row: LogoutDelivery) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "event_id": str(row.event_id) if row.event_id else None,
        "client_id": row.client_id,
        "user_id": row.sub,
        "session_id": row.sid or None,
        "channel": row.channel,
        "state": row.state,
        "created_at": iso(row.created_at),
        "due_at": iso(row.due_at),
        "finished_at": iso(row.finished_at),
        "attempts_made": row.attempts,
        "last_status": row.last_status,
        "reason": row.last_reason or None,
    }


def _attempt(one: DeliveryAttempt) -> dict[str, Any]:
    return {
        "number": one.number,
        "started_at": iso(one.started_at),
        "duration_ms": one.duration_ms,
        "status": one.status,
        "outcome": one.outcome,
        "reason": one.reason or None,
        "jti": one.jti or None,
    }


def deliver_again(call: Call, delivery_id: str) -> Any:
    """A dead one waits once more, a waiting one is due now. What was delivered stays delivered."""
    row = _delivery(delivery_id)
    if not redeliver.deliveries([row.pk], at=call.at):
        raise ApiError(409, "There is nothing to deliver again", "conflict")
    return delivery(_delivery(delivery_id))


def evidence(call: Call) -> Any:
    until = call.query.moment("until") or call.at
    since = call.query.moment("since") or until - report.WINDOW
    sub, client_id = call.query.text("user_id"), call.query.text("client_id")
    if since >= until or (not sub and until - since > report.WIDEST):
        raise invalid_query(f"'since is before until, by at most {report.WIDEST / timedelta(days=1):.0f} days'.")
    application = Application.objects.filter(client_id=client_id).first() if client_id else None
    if client_id and application is None:
        raise not_found("client")
    return document(report.report(Asked(since, until, sub, application)), call.at)


def _deliveries() -> QuerySet[LogoutDelivery]:
    return LogoutDelivery.objects.all()


def _delivery(delivery_id: str) -> LogoutDelivery:
    row = _deliveries().filter(pk=_key(delivery_id)).first()
    if row is None:
        raise not_found("delivery")
    return row


def _key(said: str) -> int:
    """0, which no row has, for what is no key."""
    return int(said) if said.isascii() and said.isdigit() and len(said) < 19 and int(said) <= HIGHEST else 0


OPERATIONS = (
    Operation("GET", "logout-events", ["read:logout_events"], list_events, "Ends of sessions, newest first.",
              query=(*CHECKPOINTS, *FIELDS, "user_id", "initiator"), listed="logout_events", standby=True),
    Operation("GET", "logout-events/<str:event_id>", ["read:logout_events"], get_event, "One end."),
    Operation("GET", "deliveries", ["read:deliveries"], list_deliveries, "Who is told of which end, newest first.",
              query=(*CHECKPOINTS, *FIELDS, "state", "client_id", "user_id", "session_id", "event_id"), listed="deliveries",
              standby=True),
    Operation("GET", "deliveries/<str:delivery_id>", ["read:deliveries"], get_delivery, "One, with every attempt."),
    Operation("POST", "deliveries/<str:delivery_id>/redeliver", ["update:deliveries"], deliver_again,
              "Send what was given up once more."),
    Operation("GET", "evidence", ["read:evidence"], evidence, "What can be proved: who was told when, with which answer.",
              query=("user_id", "client_id", "since", "until")),
)  # fmt: skip
