"""Fixtures that every kind of test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from idp import configuration


@pytest.fixture(autouse=True)
def _fresh_configuration() -> Iterator[None]:
    """A rolled-back test leaves a snapshot whose version number comes again with other contents."""
    configuration._snapshot = configuration.Snapshot(-1)
    yield
    configuration._snapshot = configuration.Snapshot(-1)
