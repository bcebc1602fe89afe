"""An identity provider that sends security events, a connection that believes it, and people who came through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from idp.limits import limiter
from idp.models import Connection
from logout_app.shared_signals import transmitter as kept
from tests.protocol.gtr.support import make_federated_user
from tests.protocol.shared_signals.support import Pusher
from tests.support.factories import make_connection, make_session
from tests.support.upstreams.scripted_transmitter import ScriptedTransmitter


@pytest.fixture(autouse=True)
def _fresh_memory(loopback_upstreams: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "_blocked", limiter._Blocked())
    kept.forget()


@pytest.fixture
def transmitter() -> Iterator[ScriptedTransmitter]:
    with ScriptedTransmitter() as scripted:
        yield scripted


@pytest.fixture
def connection(transmitter: ScriptedTransmitter) -> Connection:
    """By hand: issuer, key set and audience. People sign in at the same issuer, which is not asked for anything."""
    signals = {
        "issuer": transmitter.issuer,
        "jwks_uri": f"{transmitter.issuer}/jwks",
        "audience": transmitter.audience,
    }
    endpoints = {
        name: f"{transmitter.issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
    }
    options = {"issuer": transmitter.issuer, "client_id": "curfew", **endpoints, "shared_signals": signals}
    return make_connection("acme", "oidc", options=options)


@pytest.fixture
def pusher(transmitter: ScriptedTransmitter, connection: Connection) -> Pusher:
    return Pusher(transmitter, connection)


@pytest.fixture
def ann(connection: Connection) -> Any:
    return make_federated_user(connection, "ann", "ann@acme.example")


@pytest.fixture
def session(ann: Any) -> Any:
    return make_session(ann)
