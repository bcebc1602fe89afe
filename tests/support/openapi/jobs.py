"""Jobs: what takes longer than a request."""

from __future__ import annotations

from tests.support.openapi.words import Bodies, answer, many, mapping, maybe, one_of, ref, switch, text, time, whole

COMPONENTS = {
    "Job": answer(
        {
            "id": text(),
            "type": one_of(("users_import", "verification_email")),
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
BODIES = {
    "POST jobs/users-imports": Bodies(ref("Job"), FORM),
    "GET jobs/{job_id}": Bodies(ref("Job")),
    "GET jobs/{job_id}/errors": Bodies(ref("FailedRow")),
}
