"""Programs of these tests ask as fast as they can; how fast they may is a test of its own."""

from __future__ import annotations

import pytest

from logout_app.api.frame import pace


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FREE", 1_000_000)
    monkeypatch.setattr(pace, "LIMIT", pace.Limit("api", 1_000_000, pace.LIMIT.window))
    pace.PACE.forget()
