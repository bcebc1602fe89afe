"""Fixtures that every kind of test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management.commands import flush

from idp import configuration
from sessions_app import trail


@pytest.fixture(autouse=True, scope="session")
def _flush_may_empty_the_trail() -> Iterator[None]:
    """What a test committed is taken away by DELETE on SQLite, which the trail refuses."""
    handle = flush.Command.handle

    def handle_purging(self: flush.Command, **options: object) -> None:
        with trail.purging():
            handle(self, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", handle_purging)
        yield


@pytest.fixture(autouse=True)
def _fresh_configuration() -> Iterator[None]:
    """A rolled-back test leaves a snapshot whose version number comes again with other contents."""
    configuration._snapshot = configuration.Snapshot(-1)
    yield
    configuration._snapshot = configuration.Snapshot(-1)
