"""A connection that is provisioned, and the client that does it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from idp.limits import limiter
from idp.models import Connection
from idp.scim import tokens
from idp.scim.pace import PACE
from tests.protocol.scim.support import Scim
from tests.support.factories import make_connection


@pytest.fixture(autouse=True)
def _fresh_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "_blocked", limiter._Blocked())
    monkeypatch.setattr(PACE, "_left", {})


@pytest.fixture
def connection(db: None) -> Connection:
    return make_connection("acme-okta", "okta")


@pytest.fixture
def scim(connection: Connection) -> Scim:
    return provisioned(connection)


def provisioned(connection: Connection) -> Scim:
    at = timezone.now()
    provisioning = tokens.switch_on(connection, actor="admin:1", at=at)
    return Scim(connection, tokens.create(provisioning, actor="admin:1", at=at).raw)
