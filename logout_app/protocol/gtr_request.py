"""The Global Token Revocation requests that we send to applications, as Okta sends them: a signed JWT, and whom it is about."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from logout_app.protocol.retry import Answer

HALF_LIFE = 300  # seconds, before and after now: clocks of applications differ
FINAL = frozenset({400, 404})  # statuses after which asking again changes nothing
MEANINGS = {
    400: "the request was not understood",
    401: "the request was not believed",
    403: "we may not ask this here",
    404: "the application does not know this person, or nothing listens at this URL",
    422: "the application could not sign the person out",
}


def claims(*, issuer: str, client_id: str, url: str, at: datetime) -> dict[str, Any]:
    """Fresh ones for each attempt: receivers refuse a `jti` that they saw. `aud` is the URL without query and fragment."""
    issued = int(at.timestamp())
    return {
        "jti": str(uuid.uuid4()),
        "iss": issuer,
        "sub": client_id,
        "aud": urlsplit(url)._replace(query="", fragment="").geturl(),
        "iat": issued,
        "nbf": issued - HALF_LIFE,
        "exp": issued + HALF_LIFE,
    }


def body(*, issuer: str, sub: str) -> bytes:
    """The person by our issuer and their `sub` in the application's ID tokens (RFC 9493 section 3.2.3)."""
    return json.dumps({"sub_id": {"format": "iss_sub", "iss": issuer, "sub": sub}}).encode()


def explained(answer: Answer) -> Answer:
    """The same answer, with what its status means here; the application's own words come after it."""
    meaning = MEANINGS.get(answer.status or 0)
    if meaning is None:
        return answer
    detail = f"{meaning}: {answer.detail}" if answer.detail else meaning
    return Answer(answer.status, answer.error, detail, answer.retry_after)
