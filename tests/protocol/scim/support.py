"""A SCIM client as Okta and Entra are: JSON in, JSON out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from idp.models import Connection, User

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any

    def __getitem__(self, name: str) -> Any:
        return self.body[name]


@dataclass
class Scim:
    connection: Connection
    token: str
    client: Client = field(default_factory=lambda: Client(raise_request_exception=True))
    content_type: str = "application/scim+json"

    @property
    def base(self) -> str:
        return f"/scim/v2/connections/{self.connection.name}"

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        data = body if isinstance(body, bytes | str) else b"" if body is None else json.dumps(body)
        response = self.client.generic(
            method,
            f"{self.base}{path}",
            data,
            content_type=self.content_type,
            headers={"Authorization": f"Bearer {self.token}", **headers},
        )
        return Answer(
            response.status_code, json.loads(response.content) if response.content else None, response.headers
        )

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("POST", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("PUT", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        return self.send("DELETE", path, **headers)

    def patch(self, path: str, *operations: Any, **headers: str) -> Answer:
        return self.send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}, **headers)

    def add(self, user_name: str = "ann@acme.example", **more: Any) -> str:
        """A person as Okta makes them; returns their id."""
        answer = self.post("/Users", person(user_name, **more))
        assert answer.status == 201, answer.body
        return str(answer["id"])

    def add_group(self, name: str, *members: str) -> str:
        answer = self.post(
            "/Groups", {"schemas": [GROUP], "displayName": name, "members": [{"value": member} for member in members]}
        )
        assert answer.status == 201, answer.body
        return str(answer["id"])

    def user(self, scim_id: str) -> User:
        return User.objects.get(identities__provisioned__public_id=scim_id)


def person(user_name: str = "ann@acme.example", **more: Any) -> dict[str, Any]:
    return {
        "schemas": [USER],
        "userName": user_name,
        "name": {"givenName": "Ann", "familyName": "Ames"},
        "displayName": "Ann Ames",
        "emails": [{"primary": True, "value": user_name, "type": "work"}],
        "externalId": f"00u{user_name.partition('@')[0]}",
        "locale": "en-US",
        "groups": [],
        "active": True,
    } | more
