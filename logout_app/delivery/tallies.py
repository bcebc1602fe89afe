"""The workers' counters. They live in the database: see `DeliveryTally`."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping

from idp.database import dialect, prepared
from idp.operations import logs
from logout_app.models import DeliveryTally

TABLE = DeliveryTally._meta.db_table
COLUMNS = (("metric", "text"), ("label", "text"), ("value", "float8"))
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0)  # seconds


def bucket(seconds: float) -> str:
    """The label of the histogram bucket that this value falls into, not cumulative."""
    index = bisect_left(BUCKETS, seconds)
    return str(BUCKETS[index]) if index < len(BUCKETS) else "+Inf"


def add(counts: Mapping[tuple[str, str], float]) -> None:
    """Inside the transaction of what is counted. Sorted: two workers lock the rows in the same order."""
    _write(f"{TABLE}.value + excluded.value", counts)


def put(values: Mapping[tuple[str, str], float]) -> None:
    _write("excluded.value", values)


def add_lost_log_lines() -> None:
    """What this process could not log since it was last asked: a worker asks once a minute, a web process for /metrics."""
    if lost := logs.take_lost():
        add({("log_lines_lost", ""): lost})


def _write(new_value: str, values: Mapping[tuple[str, str], float]) -> None:
    if not values:
        return
    rows = [{"metric": metric, "label": label, "value": value} for (metric, label), value in sorted(values.items())]
    prepared.fetch(
        f"INSERT INTO {TABLE} (metric, label, value) SELECT metric, label, value FROM {dialect.table_of(COLUMNS)} WHERE true "  # noqa: S608
        f"ON CONFLICT (metric, label) DO UPDATE SET value = {new_value} RETURNING metric",
        [json.dumps(rows)],
    )


def read() -> dict[tuple[str, str], float]:
    return {
        (metric, label): value for metric, label, value in DeliveryTally.objects.values_list("metric", "label", "value")
    }
