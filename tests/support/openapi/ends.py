"""The trail, its numbers, ends of sessions, deliveries, evidence."""

from __future__ import annotations

from logout_app.models import DeliveryState
from tests.support.openapi.words import Bodies, answer, many, mapping, maybe, number, one_of, ref, text, time, whole

SPREAD = maybe(
    answer({"count": whole(), "p50": number(), "p95": number(), "p99": number(), "slowest": number()}, says="Seconds.")
)
ATTEMPT = {
    "number": whole(),
    "started_at": time(),
    "duration_ms": maybe(whole()),
    "status": maybe(whole()),
    "outcome": text(),
    "reason": maybe(text()),
    "jti": maybe(text()),
}
COMPONENTS = {
    "Log": answer(
        {
            "_id": text(),
            "log_id": text(),
            "date": time(),
            "type": text("Auth0's code where it has one, else our name."),
            "description": text(),
            "details": mapping("`event` is our name for the type."),
        },
        {
            name: text()
            for name in (
                *("client_id", "client_name", "ip", "user_agent", "user_id", "user_name", "connection"),
                *("connection_id", "session_id"),
            )
        },
    ),
    "Day": answer({"date": time(), "logins": whole(), "signups": whole(), "leaked_passwords": whole()}),
    "LogoutEvent": answer(
        {
            "id": text(),
            "at": time(),
            "initiator": text(),
            "actor": text(),
            "user_id": maybe(text()),
            "sessions_ended": whole(),
            "refresh_tokens_revoked": whole(),
        }
    ),
    "Delivery": answer(
        {
            "id": text(),
            "event_id": maybe(text()),
            "client_id": text(),
            "user_id": text(),
            "session_id": maybe(text()),
            "channel": text(),
            "state": one_of(DeliveryState.values),
            "created_at": time(),
            "due_at": maybe(time()),
            "finished_at": maybe(time()),
            "attempts_made": whole(),
            "last_status": maybe(whole()),
            "reason": maybe(text()),
        },
        {"attempts": many(answer(ATTEMPT), "Of one delivery, not of a list.")},
    ),
    "Evidence": answer(
        {
            "made_at": time(),
            "since": time(),
            "until": time(),
            "sub": maybe(text()),
            "client_id": maybe(text()),
            "complete": {"type": "boolean", "description": "False: there are older rows than these."},
            "seconds_to_signed_out": SPREAD,
            "applications": many(
                answer(
                    {
                        "client_id": text(),
                        "name": text(),
                        "deliveries": mapping(of=whole()),
                        "seconds_to_signed_out": SPREAD,
                    }
                )
            ),
            "deliveries": many(ref("ProvedDelivery")),
        }
    ),
    "ProvedDelivery": answer(
        {
            "sub": text(),
            "sid": maybe(text()),
            "client_id": text(),
            "channel": text(),
            "ended_at": time(),
            "initiator": text(),
            "actor": text(),
            "state": one_of(DeliveryState.values),
            "finished_at": maybe(time()),
            "seconds_to_signed_out": maybe(number()),
            "last_status": maybe(whole()),
            "reason": maybe(text()),
            "attempts": many(answer({**ATTEMPT, "url": maybe(text())})),
        }
    ),
}
BODIES = {
    "GET logs": Bodies(ref("Log"), always_bare=True),
    "GET logs/{log_id}": Bodies(ref("Log")),
    "GET users/{user_id}/logs": Bodies(ref("Log")),
    "GET stats/active-users": Bodies(whole()),
    "GET stats/daily": Bodies(many(ref("Day"))),
    "GET logout-events": Bodies(ref("LogoutEvent")),
    "GET logout-events/{event_id}": Bodies(ref("LogoutEvent")),
    "GET deliveries": Bodies(ref("Delivery")),
    "GET deliveries/{delivery_id}": Bodies(ref("Delivery")),
    "POST deliveries/{delivery_id}/redeliver": Bodies(ref("Delivery"), also=(409,)),
    "GET evidence": Bodies(ref("Evidence"), also=(404,)),
}
