"""Percentiles by the nearest rank, and the scale of the charts."""

from __future__ import annotations

import pytest

from logout_app.admin.charts import Series, nice, of_counts, of_spans
from logout_app.admin.words import counted, listed, seconds
from logout_app.protocol.percentiles import Spread, spread


def test_of_nothing_there_is_no_spread() -> None:
    assert spread([]) == Spread()


@pytest.mark.parametrize(
    ("given", "p50", "p95", "p99", "slowest"),
    [
        ([3.0], 3.0, 3.0, 3.0, 3.0),
        ([2.0, 1.0], 1.0, 2.0, 2.0, 2.0),
        ([float(n) for n in range(100, 0, -1)], 50.0, 95.0, 99.0, 100.0),
    ],
)
def test_a_percentile_is_a_number_that_was_there(
    given: list[float], p50: float, p95: float, p99: float, slowest: float
) -> None:
    assert spread(given) == Spread(len(given), p50, p95, p99, slowest)


@pytest.mark.parametrize(("highest", "top"), [(0, 1), (1, 1), (3, 5), (10, 10), (11, 20), (999, 1000), (1001, 2000)])
def test_an_axis_ends_with_a_round_number(highest: float, top: float) -> None:
    assert nice(highest) == top


def test_bars_stay_inside_the_drawing_however_long_something_took() -> None:
    spans = [0.0, 0.0001, 0.4, 86_400.0, None]
    chart = of_spans("x", "", ["a", "b", "c", "d", "e"], [Series("median", "bar", spans)])
    counts = of_counts("x", "", ["a", "b"], Series("n", "bar", [10**9, 0]))
    assert len(chart.bars) == 3  # what took no time has no height, and what is not known no bar
    for bar in (*chart.bars, *counts.bars):
        assert 0 <= float(bar.y) <= float(bar.y) + float(bar.height) <= 150
        assert 0 <= float(bar.x) <= float(bar.x) + float(bar.width) <= 360
    assert [row[1] for row in chart.rows] == ["0 ms", "0 ms", "400 ms", "24 hours", "nothing"]


def test_numbers_are_said_as_people_say_them() -> None:
    assert [seconds(value) for value in (0.25, 1.25, 300, 10_000, 400_000)] == [
        "250 ms", "1.2 s", "5 minutes", "3 hours", "5 days",
    ]  # fmt: skip
    assert (counted(1, "end is", "ends are"), counted(2, "end is", "ends are")) == ("1 end is", "2 ends are")
    assert [listed(list("abc"[:n])) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
