"""Bars as a server draws them: geometry for an SVG without script and style, and the same numbers as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from logout_app.admin.words import seconds

WIDTH, HEIGHT = 360, 150  # of the drawing: it is as wide as a telephone's page, so that its letters can be read there
LEFT, RIGHT, TOP, BOTTOM = 54, 4, 8, 22
FASTEST = 0.01  # seconds: where the logarithmic scale begins
NICE = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Bar:
    kind: str  # a CSS class
    x: str
    y: str
    width: str
    height: str
    tip: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A word beside an axis, and where."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    kind: str
    values: Sequence[float | None]  # None: nothing is known of that time, which is not zero


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    summary: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    bars: Sequence[Bar] = ()
    grid: Sequence[Mark] = ()
    ticks: Sequence[Mark] = ()
    legend: Sequence[tuple[str, str]] = ()  # kind, name
    left: int = LEFT
    right: int = WIDTH - RIGHT


def of_counts(title: str, summary: str, times: Sequence[str], series: Series) -> Chart:
    top = nice(max((value or 0 for value in series.values), default=0))
    bars = _bars(series, times, lambda value: value / top, lambda value: f"{value:.0f}")
    grid = [Mark(_n(_y(share)), f"{top * share:g}") for share in ((0, 0.5, 1) if top > 1 else (0, 1))]
    rows = [(time, f"{value or 0:.0f}") for time, value in zip(times, series.values, strict=True)]
    return Chart(title, summary, ("Time", series.name), rows, list(bars), grid, _ticks(times))


def of_spans(title: str, summary: str, times: Sequence[str], spans: Sequence[Series]) -> Chart:
    """Logarithmic: an application that answers a day later does not hide whether the others take one second or two.
    The series that is drawn over the others comes last."""
    known = [value for one in spans for value in one.values if value is not None]
    decades = max(1, ceil(log10(max([*known, 1.0]) / FASTEST)))

    def share(value: float) -> float:
        return max(0.02, log10(max(value, FASTEST) / FASTEST) / decades)

    bars = [bar for one in spans for bar in _bars(one, times, share, seconds)]
    marks = [FASTEST * 10**decade for decade in range(0, decades + 1, 1 + decades // 5)]
    grid = [Mark(_n(_y(log10(mark / FASTEST) / decades)), _short(mark)) for mark in marks]
    columns = zip(times, *(one.values for one in spans), strict=True)
    rows = [
        (time, *(seconds(value) if value is not None else "nothing" for value in values)) for time, *values in columns
    ]
    heads = ("Time", *(one.name for one in spans))
    return Chart(title, summary, heads, rows, bars, grid, _ticks(times), [(one.kind, one.name) for one in spans])


def nice(highest: float) -> float:
    """The next 1, 2 or 5 times a power of ten; at least 1."""
    if highest <= 1:
        return 1
    power: float = 10 ** floor(log10(highest))
    return next(step * power for step in NICE if step * power >= highest)


def _bars(series: Series, times: Sequence[str], share, words) -> Iterator[Bar]:  # type: ignore[no-untyped-def]
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(series.values))
    for place, (time, value) in enumerate(zip(times, series.values, strict=True)):
        if value:
            top = _y(share(value))
            x, height = LEFT + place * slot + slot * 0.12, HEIGHT - BOTTOM - top
            tip = f"{time}: {words(value)} {series.name}"
            yield Bar(series.kind, _n(x), _n(top), _n(slot * 0.76), _n(height), tip)


def _ticks(times: Sequence[str]) -> list[Mark]:
    """Four or five times below the axis, beginning with the first."""
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(times))
    every = max(1, ceil(len(times) / 4))
    return [Mark(_n(LEFT + place * slot), times[place]) for place in range(0, len(times), every)]


def _short(value: float) -> str:
    return seconds(value).replace(" minutes", " min").replace(" hours", " h").replace(" days", " d").replace(".0", "")


def _y(share: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(1.0, share))


def _n(value: float) -> str:
    return f"{value:.1f}"
