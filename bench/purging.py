"""How fast the purge deletes each kind of row in a large installation, and what it costs: CPU of its process and of PostgreSQL.

    python bench/population.py && python bench/purging.py          rows of bench/population.py that are older than 90 days
    python bench/purging.py --days 60 --seconds 20                 what is older than 60 days, each kind for 20 s at most

DATABASE_URL names the database, whose rows are really deleted. With a family go its refresh tokens, with a session its clients and codes,
with a delivery its attempts: what those cost is in its line. The longest batch is how long anybody may have to wait for one of its
rows. What a sign-in makes of each kind, times these figures, is what its purge costs (`docs/capacity.md`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessions_app.session.batches import PurgeAct

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench import filling  # noqa: E402

HEADINGS = ("kind", "rows", "rows/s", "ms, longest", "process us/row", "PostgreSQL us/row")


@dataclass
class Purged:
    """Of one kind: times in seconds."""

    rows: int = 0
    took: float = 0.0
    longest: float = 0.0
    process: float = 0.0
    backend: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each kind, at most")
    options = parser.parse_args()
    filling.prepare("curfew_population")
    purge(options.days, options.seconds)


def purge(days: int, seconds: float) -> None:
    from django.utils import timezone

    from bench.acts import backend_ms
    from logout_app.ending import purge

    print("{:22}{:>10}{:>10}{:>14}{:>16}{:>20}".format(*HEADINGS), flush=True)
    for name, batch in purge.batches(timezone.now(), days):
        found = deleted(batch, seconds, backend_ms)
        each = 1e6 / max(found.rows, 1)
        print(
            f"{name:22}{found.rows:>10,}{found.rows / found.took:>10,.0f}{found.longest * 1000:>14.0f}"
            f"{found.process * each:>16.1f}{found.backend * each:>20.1f}   {found.took:.1f} s",
            flush=True,
        )


def deleted(batch: PurgeAct, seconds: float, backend_ms: Callable[[], float]) -> Purged:
    found = Purged()
    process, backend, began = time.process_time(), backend_ms(), time.monotonic()
    while not batch.is_done and time.monotonic() - began < seconds:
        begin = time.monotonic()
        found.rows += batch()
        found.longest = max(found.longest, time.monotonic() - begin)
    found.took = time.monotonic() - began
    found.process, found.backend = time.process_time() - process, (backend_ms() - backend) / 1000
    return found


if __name__ == "__main__":
    main()
