"""A provider that does what a test wants, and a connection to it."""

from __future__ import annotations

from typing import Any

import pytest

from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from idp.models import Connection
from tests.support.upstreams.scripted_oidc import CLIENT, SECRET, ScriptedProvider


@pytest.fixture(autouse=True)
def _loopback_upstreams(loopback_upstreams: None) -> None:
    """For every test here."""


@pytest.fixture
def connection(provider: ScriptedProvider) -> Connection:
    return connect(provider)


def connect(provider: ScriptedProvider, strategy: str = "oidc", **options: Any) -> Connection:
    """A connection to the provider, not saved: protocols read rows, they do not look them up."""
    given = {"discovery_url": provider.discovery_url, "client_id": CLIENT, **options}
    sealed = {"client_secret": seal(SECRET, secret_context("Acme", "client_secret"))}
    return Connection(name="Acme", display_name="Acme Okta", strategy=strategy, options=given, sealed_options=sealed)
