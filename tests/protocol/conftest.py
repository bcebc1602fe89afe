"""What most protocol tests begin with: an application of the usual kind, a person who is signed in, a provider upstream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp

from idp.applications import refusals
from idp.connections import registry
from idp.connections.oidc import discovery, keys
from idp.models import Application
from sessions_app.models import SSOSession
from sessions_app.signin import failures
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.upstream import SaysSo
from tests.support.upstreams.scripted_oidc import ScriptedProvider

WINDOW = 300  # seconds: the limiter's windows are multiples of it, by the clock
ONE_TEST = 5.0  # seconds


@pytest.fixture(autouse=True)
def _one_window() -> None:
    """What a test counts would begin anew in its middle when a window of the limiter ends there."""
    left = WINDOW - time.time() % WINDOW
    if left < ONE_TEST:
        time.sleep(left)


@pytest.fixture(autouse=True)
def _nothing_failed_yet() -> None:
    """A process writes so many lines of failed sign-ins and refused requests and no more."""
    failures.forget()
    refusals.forget()


@pytest.fixture
def app() -> Application:
    return make_application()


@pytest.fixture
def session() -> SSOSession:
    return make_session(make_user())


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> SaysSo:
    """A connection named Acme, and the provider behind it."""
    says = SaysSo()
    monkeypatch.setitem(registry.REDIRECT_PROTOCOLS, "oidc", says)  # type: ignore[arg-type]  # a dict in truth
    make_connection("Acme", "oidc", display_name="Acme Login")
    return says


@pytest.fixture
def loopback_upstreams(settings: Any) -> Iterator[None]:
    """Upstreams live on loopback here, on ports that are soon somebody else's."""
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]
    discovery.forget()
    keys.forget()
    yield
    discovery.forget()
    keys.forget()


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    """A provider upstream that does what a test wants."""
    with ScriptedProvider() as scripted:
        yield scripted


@pytest.fixture
def one_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A code of a second factor does not end between its making and its use."""
    now = time.time()
    monkeypatch.setattr(totp, "time", SimpleNamespace(time=lambda: now))
