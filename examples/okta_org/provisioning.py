"""Provisioning: what Okta sends an application by SCIM 2.0 when a person's account here changes.

The requests are those of Okta's SCIM client (developer.okta.com, *SCIM 2.0 protocol reference*): it looks the person up by
userName, creates who is not there, and deactivates by a PATCH without a path. It never deletes anybody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import requests

from examples.okta_org.organisation import Person

TIMEOUT = 10  # seconds
MEDIA_TYPE = "application/scim+json"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True)
class Exchange:
    """A request as it was sent, without its token, and the answer."""

    request: str
    body: Any
    status: int | None
    answer: str


@dataclass
class Outcome:
    exchanges: list[Exchange] = field(default_factory=list)
    fault: str = ""

    @property
    def is_done(self) -> bool:
        return not self.fault


class CannotProvision(Exception):
    """Why the application does not know of a change."""


class ScimClient:
    """Speaks to one application; `token` is what its *HTTP Header* authentication has."""

    def __init__(self, base_url: str, token: str) -> None:
        self.base_url, self._token = base_url, token
        self._known: dict[str, str] = {}  # Okta's id of a person -> the application's

    def set_active(self, person: Person, *, active: bool) -> Outcome:
        outcome = Outcome()
        try:
            key = self._known.get(person.id) or self._push(person, outcome)
            self._known[person.id] = key
            operation = {"op": "replace", "value": {"active": active}}
            self._ask("PATCH", f"/Users/{key}", outcome, {"schemas": [PATCH], "Operations": [operation]})
        except CannotProvision as error:
            outcome.fault = str(error)
        return outcome

    def _push(self, person: Person, outcome: Outcome) -> str:
        """As at the assignment to the application: found by name, or made."""
        query = f'/Users?filter=userName eq "{person.email}"&startIndex=1&count=100'
        found = self._ask("GET", query, outcome).get("Resources") or []
        made = found[0] if found else self._ask("POST", "/Users", outcome, resource(person))
        return str(made["id"])

    def _ask(self, method: str, path: str, outcome: Outcome, body: Any = None) -> dict[str, Any]:
        if not self._token:
            raise CannotProvision("No token: provisioning of the application is not set up.")
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": MEDIA_TYPE,
            "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
            "User-Agent": "Okta SCIM Client 1.0.0",
        }
        sent = None if body is None else json.dumps(body)
        said = f"{method} {self.base_url}{path}"
        try:
            answer = requests.request(
                method, f"{self.base_url}{path}", data=sent, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            outcome.exchanges.append(Exchange(said, body, None, str(error)))
            raise CannotProvision("The application did not answer.") from error
        outcome.exchanges.append(Exchange(said, body, answer.status_code, answer.text[:2000]))
        if not answer.ok:
            raise CannotProvision(f"The application answered {answer.status_code}.")
        read: dict[str, Any] = answer.json() if answer.content else {}
        return read


def resource(person: Person) -> dict[str, Any]:
    given, family = person.name.split(" ")
    return {
        "schemas": [USER],
        "userName": person.email,
        "name": {"givenName": given, "familyName": family},
        "emails": [{"primary": True, "value": person.email, "type": "work"}],
        "displayName": person.name,
        "locale": "en-US",
        "externalId": person.id,
        "groups": [],
        "active": True,
    }
