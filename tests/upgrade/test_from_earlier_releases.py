"""What an earlier release left is migrated by this tree, and Mary's session of that day ends with everything it had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.conf import settings as settings_now
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from joserfc import jws

from idp.crypto import keys
from idp.protocol.opaque import digest
from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.models import SSOSession
from tests.support import backup
from tests.support.rows import SECRET
from tests.upgrade import releases

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both]


@pytest.fixture(params=releases.versions())
def upgraded(request: Any, settings: Any, tmp_path: Path) -> Iterator[str]:
    """A database of that release, migrated by this tree, on the day that it was left."""
    settings.ENCRYPTION_KEYS = [releases.ENCRYPTION_KEY]
    backup.back_up(tmp_path / "before")
    try:
        releases.load(request.param)
        call_command("migrate", verbosity=0)
        with time_machine.travel(releases.AT, tick=True):
            yield request.param
    finally:
        backup.restore(tmp_path / "before")


def test_every_row_can_be_read_and_a_session_that_it_opened_is_ended_and_its_application_told(upgraded: str) -> None:
    for model in apps.get_models():
        list(models.QuerySet(model))
    kid = jws.extract_compact(keys.sign({"sub": "somebody"}).encode()).headers()["kid"]  # by a key that it sealed
    assert kid in [key["kid"] for key in Client().get("/.well-known/jwks.json").json()["keys"]]
    assert MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes()) == []
    session = SSOSession.objects.get(cookie_hash=digest(SECRET))
    assert session.ended_at is None
    mary = Client()
    mary.cookies[settings_now.SSO_COOKIE_NAME] = SECRET
    assert "mary@fabrikamcorp.com" in mary.get("/account/").content.decode()
    events, told = LogoutEvent.objects.count(), LogoutDelivery.objects.count()
    answer = mary.get("/v2/logout", {"client_id": "jwt-debugger"}, headers={"Accept": "application/json"})
    assert answer.status_code == 302
    session.refresh_from_db()
    assert (session.ended_at is not None, session.end_initiator) == (True, "rp-logout")
    assert LogoutEvent.objects.count() == events + 1
    assert LogoutDelivery.objects.count() == told + 1
    delivery = LogoutDelivery.objects.order_by("-pk")[0]
    assert (delivery.client_id, delivery.channel, delivery.state) == ("jwt-debugger", "backchannel", "pending")
    assert mary.get("/account/").status_code == 302
