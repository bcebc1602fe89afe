"""What most protocol tests begin with: an application of the usual kind, and a person who is signed in."""

from __future__ import annotations

import pytest

from idp.models import Application
from sessions_app.models import SSOSession
from tests.support.factories import make_application, make_session, make_user


@pytest.fixture
def app() -> Application:
    return make_application()


@pytest.fixture
def session() -> SSOSession:
    return make_session(make_user())
