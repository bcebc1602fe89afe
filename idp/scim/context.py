"""Who writes, into which connection, and when: what every act of one request knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from idp.http.requests import RequestFacts
from idp.models import Connection, Provisioning

NOUNS = {"User": "users", "Group": "groups"}
SCOPES = tuple(f"{verb}:{noun}" for noun in NOUNS.values() for verb in ("get", "post", "put", "patch", "delete"))


@dataclass(frozen=True, slots=True)
class Writer:
    """`credential`: the token's id or the application's client id, for the evidence."""

    provisioning: Provisioning
    credential: str
    scopes: frozenset[str]
    facts: RequestFacts
    at: datetime
    trusted_email: bool = field(default=False)

    @property
    def connection(self) -> Connection:
        return self.provisioning.connection

    @property
    def actor(self) -> str:
        return f"scim:{self.connection.name}"
