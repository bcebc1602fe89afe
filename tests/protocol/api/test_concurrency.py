"""Two programs that write one person at once."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connection, connections

from idp.people import metadata
from tests.support.factories import make_user
from tests.support.management import Api
from tests.support.receiver import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
DEADLINE = 30  # seconds


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        # Not pg_stat_activity, of which a transaction sees what there was when it looked first.
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


def test_neither_of_two_changes_of_metadata_is_lost(monkeypatch):
    """The second begins while the first has read what is there, and has not written yet."""
    api, mary, merged = Api(), make_user(user_metadata={"size": "L"}), metadata.merged
    path = f"users/{mary.user_id.replace('|', '%7C')}"
    others: list[Future[int]] = []

    def change(name: str) -> int:
        return int(api.patch(path, {"user_metadata": {name: name}}).status_code)

    def change_elsewhere(name: str) -> int:
        try:
            return change(name)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:

        def meanwhile(stored, patch):
            if not others:
                others.append(pool.submit(change_elsewhere, "second"))
                wait_until(lambda: others[0].done() or somebody_waits_for_us(), DEADLINE)
            return merged(stored, patch)

        monkeypatch.setattr(metadata, "merged", meanwhile)
        assert change("first") == 200
        assert others[0].result(DEADLINE) == 200
    mary.refresh_from_db()
    assert sorted(mary.user_metadata) == ["first", "second", "size"]
