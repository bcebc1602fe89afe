"""Universal Logout: one request that tells an application to sign a person out, everywhere."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import requests

from examples.okta_org.organisation import Application, Person
from examples.okta_org.tokens import Signer

TIMEOUT = 10  # seconds
MEANINGS = {
    204: "Signed out: every session and refresh token is revoked.",
    400: "The request was not understood.",
    401: "The request was not believed: signature, issuer, audience or times.",
    403: "The application does not let us do this.",
    404: "The application does not know this person.",
    422: "The application could not sign the person out.",
    429: "Too many requests.",
}


@dataclass(frozen=True)
class Outcome:
    """The request as it was sent, and what came of it. Okta looks at nothing but the status."""

    url: str
    token: str
    body: dict[str, Any]
    status: int | None
    answer: str

    @property
    def meaning(self) -> str:
        if self.status is None:
            return "The application did not answer."
        return MEANINGS.get(self.status, "An answer that Universal Logout does not know.")

    @property
    def header(self) -> dict[str, Any]:
        return _part(self.token, 0)

    @property
    def claims(self) -> dict[str, Any]:
        return _part(self.token, 1)


def send(signer: Signer, application: Application, person: Person, *, subject_format: str) -> Outcome:
    token, body = signer.revocation_token(application), {"sub_id": subject(signer, person, subject_format)}
    status, answer = None, ""
    try:
        response = requests.post(
            application.revocation_url,
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        status, answer = response.status_code, response.text[:2000]
    except requests.RequestException as error:
        answer = str(error)
    return Outcome(application.revocation_url, token, body, status, answer)


def subject(signer: Signer, person: Person, subject_format: str) -> dict[str, str]:
    """The *Subject Format* of the application in Okta's admin console (RFC 9493 section 3.2)."""
    if subject_format == "email":
        return {"format": "email", "email": person.email}
    return {"format": "iss_sub", "iss": signer.issuer, "sub": person.id}


def _part(token: str, index: int) -> dict[str, Any]:
    encoded = token.split(".")[index]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    return decoded
