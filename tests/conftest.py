"""Fixtures that every kind of test may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management.commands import flush

from idp.tenants import configuration
from sessions_app.audit import events, permit, trail
from sessions_app.audit.events import EventType, Fact
from sessions_app.models import SessionEvent


@pytest.fixture(autouse=True, scope="session")
def _flush_may_empty_the_trail() -> Iterator[None]:
    """What a test committed is taken away by DELETE on SQLite, which the trail refuses."""
    handle = flush.Command.handle

    def handle_purging(self: flush.Command, **options: object) -> None:
        with permit.purging():
            handle(self, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", handle_purging)
        yield


@pytest.fixture(autouse=True, scope="session")
def _acts_write_what_their_kind_of_line_declares() -> Iterator[None]:
    """Whatever act of ours writes a line of the audit trail, in whatever test."""

    def declared(**columns: Any) -> SessionEvent:
        known = [fact for fact in Fact if columns[fact]]
        assert events.strange(EventType(columns["type"]), known, columns["data"]) == [], columns["type"]
        return SessionEvent(**columns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trail, "SessionEvent", declared)
        yield


@pytest.fixture(autouse=True)
def _fresh_configuration() -> Iterator[None]:
    """A rolled-back test leaves a snapshot whose version number comes again with other contents."""
    configuration._snapshot = configuration.Snapshot(-1)
    yield
    configuration._snapshot = configuration.Snapshot(-1)
