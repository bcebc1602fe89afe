"""Log streams: webhooks that are told what the trail says."""

from __future__ import annotations

from tests.support.openapi.words import Bodies, answer, body, many, one_of, ref, switch, text

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
COMPONENTS = {
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
    )
}
ONE = "log-streams/{stream_id}"
BODIES = {
    "GET log-streams": Bodies(many(ref("LogStream"))),
    "POST log-streams": Bodies(ref("LogStream"), body({"type": one_of(("http",))}, **SAID), also=(409,)),
    f"GET {ONE}": Bodies(ref("LogStream")),
    f"PATCH {ONE}": Bodies(ref("LogStream"), body(**SAID, status=STATES)),
    f"DELETE {ONE}": Bodies(),
}
