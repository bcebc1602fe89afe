"""Jobs: what takes longer than a request."""

from __future__ import annotations

from tests.support.openapi.words import answer, one_of, text, time

COMPONENTS = {
    "Job": answer(
        {
            "id": text(),
            "type": text(),
            "status": one_of(("pending", "processing", "completed", "failed")),
            "created_at": time(),
        }
    ),
}
