"""F-M01: hours of sign-outs cost no memory, no file descriptors and no table bloat. `make soak` runs it for half an hour.

SOAK_MINUTES says how long; SOAK_CSV where the samples go. The run of a few seconds in `make test` shows that it works.
"""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.db import connection

from logout_app.models import LogoutDelivery
from tests.delivery.conftest import sign_in, sign_out
from tests.faults.conftest import count, reconcile, wait_for_delivered

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]  # whose tables it measures too

SECONDS = float(os.environ.get("SOAK_MINUTES", "0.1")) * 60
PER_SECOND = 5
WARM_UP = 60.0  # seconds after which a sample counts
VACUUMED = 600.0  # seconds; in less than that PostgreSQL does not tidy up often enough to be judged by it


def test_a_worker_that_runs_for_long_stays_as_large_as_it_was(installation, application, receiver, tmp_path):
    apps = [application(f"app{number}") for number in range(3)]
    worker = installation.worker()
    begun, samples, planned = time.monotonic(), [], 0
    record = Path(os.environ.get("SOAK_CSV", tmp_path / "soak.csv"))
    with record.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["seconds", "resident_kib", "descriptors", "kept", "delivered", "pending", "tables_kib"])
        while (seconds := time.monotonic() - begun) < SECONDS:
            sign_out(sign_in(*apps))
            planned += len(apps)
            if planned % (PER_SECOND * len(apps)) == 0:
                samples.append((seconds, *process_size(worker.process.pid, receiver.port)))
                sample = [*(round(value, 1) for value in samples[-1]), count("delivered"), count("pending")]
                out.writerow([*sample, size_of_tables()])
                file.flush()
            time.sleep(max(0.0, planned / len(apps) / PER_SECOND - (time.monotonic() - begun)))
    wait_for_delivered(planned)
    reconcile(receiver, planned)
    assert LogoutDelivery.objects.count() == planned
    warm = [sample for sample in samples if sample[0] >= min(WARM_UP, SECONDS / 2)]
    assert warm[-1][1] <= warm[0][1] * 1.1 + 2048
    assert warm[-1][2] <= warm[0][2] + 5
    assert max(sample[3] for sample in warm) <= len(apps) * settings.PER_APP_IN_FLIGHT
    if connection.vendor == "postgresql" and SECONDS >= VACUUMED:
        swollen = size_of_tables()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM FULL")
        with record.open("a") as file:
            file.write(f"vacuumed,,,,,,{size_of_tables()}\n")
        assert swollen < 2 * size_of_tables()


def process_size(pid: int, port: int) -> tuple[int, int, int]:
    """Resident KiB, descriptors but for connections to the applications' port, and these, which come and go."""
    process = psutil.Process(pid)
    kept = sum(bool(open.raddr) and open.raddr.port == port for open in process.net_connections("tcp"))
    return process.memory_info().rss // 1024, process.num_fds() - kept, kept


def size_of_tables() -> int:
    """KiB of all tables with their indexes; PostgreSQL only."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(pg_total_relation_size(relid)) / 1024 FROM pg_stat_user_tables")
        return int(cursor.fetchone()[0])
