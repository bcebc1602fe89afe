"""Log streams and event streams: webhooks that are told what the trail says."""

from __future__ import annotations

from logout_app.api.tenant.event_streams import (
    BASIC,
    BEARER,
    CUSTOM,
    ELSEWHERE,
    STATUSES,
    WEBHOOK,
)
from logout_app.api.tenant.event_streams import (
    STATES as EVENT_STATES,
)
from tests.support.openapi.words import Bodies, answer, body, many, mapping, number, one_of, ref, switch, text, time

FORMATS = one_of(("JSONOBJECT", "JSONARRAY", "JSONLINES"))
STATES = one_of(("active", "paused", "suspended"))
SAID = {
    "name": text(maxLength=100),
    "sink": body(
        httpEndpoint=text("An https URL."),
        httpContentFormat=FORMATS,
        httpContentType=text("The one of `httpContentFormat`."),
        httpAuthorization=text("Header of every request.", maxLength=500),
    ),
    "filters": many(body({"name": text("A type of the trail.", minLength=1)}, type=one_of(("category",)))),
}
START = text("Lines since this time are sent too, as far as the trail has them.", format="date-time")
SUBSCRIPTIONS = many(body({"event_type": text("A type of the trail.", minLength=1)}))
GIVEN_AUTHORIZATION = body(
    {"method": one_of((BEARER, BASIC, CUSTOM))},
    token=text("Of bearer.", maxLength=500),
    username=text("Of basic.", maxLength=500),
    password=text("Of basic.", maxLength=500),
    header_key=text("Of custom_header: Authorization.", maxLength=500),
    header_value=text("Of custom_header.", maxLength=500),
)
GIVEN_DESTINATION = body(
    {"type": one_of((WEBHOOK, *ELSEWHERE), "Others than webhook are refused.")},
    configuration=body(webhook_endpoint=text("An https URL."), webhook_authorization=ref("GivenAuthorization")),
)
DESTINATION = answer(
    {
        "type": one_of((WEBHOOK,)),
        "configuration": answer(
            {"webhook_endpoint": text(), "webhook_authorization": ref("EventAuthorization")},
            {"signature_secret": text("Only in the answer that makes it.")},
        ),
    }
)
EVENT_STATUS = one_of([state.value for state in EVENT_STATES])
EVENT_SAID = {
    "name": text(maxLength=100),
    "subscriptions": SUBSCRIPTIONS,
    "destination": ref("GivenDestination"),
    "status": EVENT_STATUS,
}
AGAIN = {
    "date_from": time("From when."),
    "date_to": time("Before when."),
    "statuses": many(one_of(("failed",))),
    "event_types": many(text()),
}
COMPONENTS = {
    "EventStream": answer(
        {
            "id": text(),
            "name": text(),
            "subscriptions": many(answer({"event_type": text()})),
            "destination": ref("EventDestination"),
            "status": EVENT_STATUS,
            "created_at": time(),
        }
    ),
    "EventDestination": DESTINATION,
    "EventAuthorization": answer({"method": text()}, {"username": text(), "header_key": text()}),
    "GivenDestination": GIVEN_DESTINATION,
    "GivenAuthorization": GIVEN_AUTHORIZATION,
    "EventDelivery": answer(
        {
            "id": text("Of the event: the same whenever it is told again."),
            "event_stream_id": text(),
            "status": one_of(STATUSES),
            "event_type": text(),
            "attempts": many(
                answer(
                    {"status": text(), "timestamp": time(), "duration": number("Milliseconds.")},
                    {"error_message": text()},
                )
            ),
        }
    ),
    "LogStream": answer(
        {
            "id": text(),
            "name": text(),
            "type": text(),
            "status": STATES,
            "sink": answer(
                {"httpEndpoint": text(), "httpContentType": text(), "httpContentFormat": FORMATS},
                {"signatureSecret": text("Only in the answer that makes it.")},
            ),
            "filters": many(answer({"type": text(), "name": text()})),
        },
        {"isPriority": switch()},
    ),
}
ONE, EVENTS = "log-streams/{stream_id}", "event-streams/{stream_id}"
BODIES = {
    "GET log-streams": Bodies(many(ref("LogStream"))),
    "POST log-streams": Bodies(
        ref("LogStream"), body({"type": one_of(("http",))}, **SAID, startFrom=START), also=(409,)
    ),
    f"GET {ONE}": Bodies(ref("LogStream")),
    f"PATCH {ONE}": Bodies(ref("LogStream"), body(**SAID, status=STATES)),
    f"DELETE {ONE}": Bodies(),
    "GET event-streams": Bodies(ref("EventStream")),
    "POST event-streams": Bodies(ref("EventStream"), body(**EVENT_SAID), also=(409,)),
    f"GET {EVENTS}": Bodies(ref("EventStream")),
    f"PATCH {EVENTS}": Bodies(ref("EventStream"), body(**EVENT_SAID)),
    f"DELETE {EVENTS}": Bodies(),
    f"POST {EVENTS}/test": Bodies(
        ref("EventDelivery"), body({"event_type": text(minLength=1)}, data=mapping("Empty."))
    ),
    f"GET {EVENTS}/deliveries": Bodies(ref("EventDelivery")),
    f"GET {EVENTS}/deliveries/{{event_id}}": Bodies(ref("EventDelivery")),
    f"POST {EVENTS}/redeliver": Bodies(answer({}, AGAIN), body(**AGAIN)),
    f"POST {EVENTS}/redeliver/{{event_id}}": Bodies(also=(409,)),
}
