"""The feeder gives way to applications: in a storm of bells it looks seldom, and never not at all."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest

from logout_app.delivery import feeder
from logout_app.delivery.feeder import Feeder
from logout_app.streams.feed import Fed

pytestmark = pytest.mark.once


async def looks(seconds: float, *, busy: bool) -> list[float]:
    """When it looked, with a bell every few milliseconds."""
    found, began = list[float](), monotonic()

    async def in_database(_: Any) -> Fed:
        found.append(monotonic() - began)
        return Fed(planned=1)

    one = Feeder(in_database, lambda: None, lambda: busy)
    task = asyncio.create_task(one.run(60))
    while monotonic() < began + seconds:
        one.wake()
        await asyncio.sleep(0.005)
    task.cancel()
    return found


@pytest.mark.parametrize(("busy", "between"), [(False, 0.05), (True, 0.4)])
def test_it_gathers_bells_and_waits_for_applications_but_not_for_ever(busy, between, monkeypatch):
    monkeypatch.setattr(feeder, "BEHIND_APPLICATIONS", 0.4)
    found = asyncio.run(looks(1.3, busy=busy))
    assert len(found) >= 3, "it waits for ever"
    assert min(later - earlier for earlier, later in pairwise(found)) >= between * 0.99
    assert found[0] < between, "the first bell after a silence is answered at once"
