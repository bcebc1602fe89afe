"""An identity provider upstream that says what a test tells it to, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.http import HttpResponse
from django.test import Client

from idp.connections.contract import Account, Departure, SignInRequest
from idp.models import Connection
from idp.protocol.params import Params

URL = "https://acme.example/authorize"


@dataclass
class SaysSo:
    """A RedirectProtocol; `account` or `error` is its answer, the lists what it was asked."""

    account: Account = field(default_factory=lambda: Account(sub="00u1", email="Mary@Acme.example"))
    error: Exception | None = None
    departing: Exception | None = None
    fields: tuple[tuple[str, str], ...] = ()
    wishes: list[SignInRequest] = field(default_factory=list)
    kept: list[Mapping[str, Any] | None] = field(default_factory=list)

    def depart(
        self, connection: Connection, wishes: SignInRequest, *, state: str, callback: str, at: datetime
    ) -> Departure:
        if self.departing:
            raise self.departing
        self.wishes.append(wishes)
        if self.fields:
            return Departure(URL, (*self.fields, ("RelayState", state)), {"nonce": "kept"})
        return Departure(f"{URL}?{urlencode({'state': state, 'redirect_uri': callback})}", flow_data={"nonce": "kept"})

    def arrive(
        self, connection: Connection, kept: Mapping[str, Any] | None, answer: Params, *, callback: str, at: datetime
    ) -> Account:
        self.kept.append(kept)
        if self.error:
            raise self.error
        return self.account


def state_of(response: HttpResponse) -> str:
    """The state that a redirect to the upstream carries."""
    parts = urlsplit(response.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == URL, response.headers["Location"]
    return parse_qs(parts.query)["state"][0]


def depart(client: Client, name: str = "Acme", **query: str) -> str:
    """Start at our own address; the state that travels."""
    return state_of(client.get(f"/login/upstream/{name}", query))


def come_back(client: Client, state: str, **more: str) -> HttpResponse:
    return client.get("/login/callback", {"state": state, "code": "c", **more})


def sign_in(client: Client, name: str = "Acme", **query: str) -> HttpResponse:
    return come_back(client, depart(client, name, **query))
