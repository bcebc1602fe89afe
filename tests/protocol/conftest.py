"""What most protocol tests begin with: an application of the usual kind, a person who is signed in, a provider upstream."""

from __future__ import annotations

import pytest

from idp.connections import registry
from idp.models import Application
from sessions_app.models import SSOSession
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.upstream import SaysSo


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
