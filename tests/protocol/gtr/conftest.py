"""An Okta that asks for revocations, a connection that believes it, and people who came through it."""

from __future__ import annotations

from typing import Any

import pytest

from idp.limits import limiter
from idp.models import Connection
from tests.protocol.gtr.support import Okta, make_federated_user
from tests.support.factories import make_connection, make_session
from tests.support.upstreams.scripted_oidc import CLIENT, ScriptedProvider


@pytest.fixture(autouse=True)
def _fresh_memory(loopback_upstreams: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is blocked from the test before."""
    monkeypatch.setattr(limiter, "_blocked", limiter._Blocked())


@pytest.fixture
def connection(provider: ScriptedProvider) -> Connection:
    options = {"discovery_url": provider.discovery_url, "client_id": CLIENT}
    return make_connection("acme-okta", "okta", options=options)


@pytest.fixture
def okta(provider: ScriptedProvider, connection: Connection) -> Okta:
    return Okta(provider.issuer, CLIENT, connection, provider.keys[0])


@pytest.fixture
def ann(connection: Connection) -> Any:
    return make_federated_user(connection, "00uann", "ann@acme.example")


@pytest.fixture
def session(ann: Any) -> Any:
    return make_session(ann)
