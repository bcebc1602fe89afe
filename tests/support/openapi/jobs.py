"""Jobs: what takes longer than a request."""

from __future__ import annotations

from tests.support.openapi.words import (
    Bodies,
    answer,
    body,
    many,
    mapping,
    maybe,
    one_of,
    ref,
    switch,
    text,
    time,
    whole,
)

FORMATS = one_of(("json", "csv"))
COMPONENTS = {
    "Job": answer(
        {
            "id": text(),
            "type": one_of(("users_import", "users_export", "verification_email")),
            "status": one_of(("pending", "processing", "completed", "failed")),
            "created_at": time(),
        },
        {
            "connection": maybe(text()),
            "connection_id": maybe(text()),
            "upsert": switch(),
            "summary": answer({name: whole() for name in ("failed", "updated", "inserted", "total")}),
            "external_id": text(),
            "status_details": text("Why it failed."),
            "format": FORMATS,
            "limit": whole(),
            "fields": many(answer({"name": text()}, {"export_as": text()})),
            "percentage_done": whole(least=0, most=100),
            "location": text("Where the file of an export is, for a minute; with `read:users`.", format="uri"),
        },
    ),
    "FailedRow": answer({"row": whole(), "user": mapping(), "errors": many(mapping())}),
}
FILE = text("The people, as a JSON list in Auth0's format.", format="binary")
FORM = {
    "type": "object",
    "additionalProperties": False,
    "required": ["users", "connection_id"],
    "properties": {
        "users": FILE,
        "connection_id": text(),
        "upsert": switch(),
        "external_id": text(maxLength=255),
        "send_completion_email": switch("True is refused: ask for the job."),
    },
}
COLUMN = body(
    {"name": text("Like `email`, `user_metadata.country`, `identities[0].connection`.", minLength=1)},
    export_as=text("What it is called in the file.", maxLength=100),
)
BODIES = {
    "POST jobs/users-exports": Bodies(
        ref("Job"),
        body(
            connection_id=text("Only people with an account of this connection."),
            format=FORMATS,
            limit=whole("At most so many.", least=1, most=2**31 - 1),
            fields=many(COLUMN, "What is written of a person; without it all, or in CSV the usual.", maxItems=30),
        ),
    ),
    "POST jobs/users-imports": Bodies(ref("Job"), FORM),
    "GET jobs/{job_id}": Bodies(ref("Job")),
    "GET jobs/{job_id}/errors": Bodies(ref("FailedRow")),
}
