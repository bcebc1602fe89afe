"""A provider that does what a test wants, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from idp.connections.oidc import discovery, keys
from idp.connections.options import secret_context
from idp.models import Connection
from idp.sealing import seal
from tests.support.upstreams.scripted_oidc import CLIENT, SECRET, ScriptedProvider


@pytest.fixture(autouse=True)
def _loopback_upstreams(settings: Any) -> Iterator[None]:
    """Upstreams live on loopback here, on ports that are soon somebody else's."""
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]
    discovery.forget()
    keys.forget()
    yield
    discovery.forget()
    keys.forget()


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as scripted:
        yield scripted


@pytest.fixture
def connection(provider: ScriptedProvider) -> Connection:
    return connect(provider)


def connect(provider: ScriptedProvider, strategy: str = "oidc", **options: Any) -> Connection:
    """A connection to the provider, not saved: protocols read rows, they do not look them up."""
    given = {"discovery_url": provider.discovery_url, "client_id": CLIENT, **options}
    sealed = {"client_secret": seal(SECRET, secret_context("Acme", "client_secret"))}
    return Connection(name="Acme", display_name="Acme Okta", strategy=strategy, options=given, sealed_options=sealed)
