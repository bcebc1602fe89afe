"""A report as JSON, for a file that is kept: every time in UTC, every attempt with the `jti` of what was sent."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from logout_app.evidence.report import Evidence, OfApplication, ToldBy
from logout_app.models import DeliveryAttempt
from logout_app.protocol.percentiles import Spread


def document(report: Evidence, made_at: datetime) -> dict[str, Any]:
    asked = report.asked
    return {
        "made_at": _time(made_at),
        "since": _time(asked.since),
        "until": _time(asked.until),
        "sub": asked.sub or None,
        "client_id": asked.application.client_id if asked.application else None,
        "complete": report.complete,
        "seconds_to_signed_out": _spread(report.took),
        "applications": [_application(one) for one in report.applications],
        "deliveries": [_delivery(row) for row in report.rows],
    }


def _application(one: OfApplication) -> dict[str, Any]:
    return {
        "client_id": one.client_id,
        "name": one.name,
        "deliveries": dict(one.states),
        "seconds_to_signed_out": _spread(one.took),
    }


def _delivery(told: ToldBy) -> dict[str, Any]:
    row = told.delivery
    return {
        "sub": row.sub,
        "sid": row.sid or None,
        "client_id": row.client_id,
        "channel": row.channel,
        "ended_at": _time(row.sign_out.at),
        "initiator": row.sign_out.initiator,
        "actor": row.sign_out.actor,
        "state": row.state,
        "finished_at": _time(row.finished_at),
        "seconds_to_signed_out": told.seconds,
        "last_status": row.last_status,
        "reason": row.last_reason or None,
        "attempts": [_attempt(attempt) for attempt in sorted(row.attempt_log.all(), key=lambda one: one.number)],
    }


def _attempt(attempt: DeliveryAttempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": _time(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "outcome": attempt.outcome,
        "reason": attempt.reason or None,
        "url": attempt.url or None,
        "jti": attempt.jti or None,
    }


def _spread(took: Spread) -> dict[str, float] | None:
    return asdict(took) if took.count else None


def _time(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
