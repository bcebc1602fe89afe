"""Bodies of every operation, by method and path below /api/v2/, and the named kinds of things in them."""

from __future__ import annotations

from logout_app.api.frame.operations import Operation
from tests.support.openapi import applications, empty, ends, jobs, people, signals, streams, tenant, texts
from tests.support.openapi.words import Bodies, Schema, answer, text, whole

PARTS = (people, jobs, applications, tenant, texts, ends, signals, streams, empty)
BODIES: dict[str, Bodies] = {key: found for part in PARTS for key, found in getattr(part, "BODIES", {}).items()}
COMPONENTS: dict[str, Schema] = {
    "Error": answer(
        {"statusCode": whole(), "error": text("The status in words."), "message": text()},
        {
            "errorCode": text("Auth0's name for it, where there is one."),
            "requestId": text("As the log has it, of a 500."),
        },
    ),
    **{name: found for part in PARTS for name, found in getattr(part, "COMPONENTS", {}).items()},
}


def key(operation: Operation) -> str:
    return f"{operation.method} {operation.address.removeprefix('/api/v2/')}"


def bodies(operation: Operation) -> Bodies:
    if key(operation) not in BODIES:
        raise LookupError(f"tests/support/openapi says nothing of the bodies of {key(operation)!r}")
    return BODIES[key(operation)]
