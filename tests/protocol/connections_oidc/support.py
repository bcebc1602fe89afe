"""Playing a sign-in at the scripted provider, and what it was refused for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from idp.connections.contract import Account, SignInRequest, UpstreamFault
from idp.connections.oidc.flow import OidcProtocol
from idp.models import Connection
from idp.protocol.params import Params
from tests.support.upstreams.scripted_oidc import ScriptedProvider

CALLBACK = "https://id.example.com/login/callback"
protocol = OidcProtocol()


def now() -> datetime:
    return datetime.now(UTC)


def depart(connection: Connection, **wishes: Any):
    """The departure, and the parameters that the upstream's authorization endpoint gets."""
    departure = protocol.depart(connection, SignInRequest(**wishes), state="st-1", callback=CALLBACK, at=now())
    return departure, dict(parse_qsl(urlsplit(departure.url).query))


def sign_in(
    provider: ScriptedProvider, connection: Connection, answer: dict[str, str] | None = None, **wishes: Any
) -> Account:
    departure, asked = depart(connection, **wishes)
    provider.nonce = asked["nonce"]
    kept = json.loads(json.dumps(dict(departure.flow_data)))
    pairs = {"code": "c-1", "state": "st-1"} if answer is None else answer
    return protocol.arrive(connection, kept, Params(pairs.items()), callback=CALLBACK, at=now())


def refusal(
    provider: ScriptedProvider, connection: Connection, answer: dict[str, str] | None = None, **wishes: Any
) -> str:
    """The sentence for the administrator."""
    with pytest.raises(UpstreamFault) as caught:
        sign_in(provider, connection, answer, **wishes)
    return caught.value.reason


def gives(provider: ScriptedProvider, token: Any, **more: Any) -> None:
    """The token endpoint answers with this ID token."""
    provider.token_answer = lambda _: (
        200,
        {"access_token": "at-1", "token_type": "Bearer", "id_token": token(), **more},
    )
