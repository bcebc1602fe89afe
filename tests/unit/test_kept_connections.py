"""A kept connection is asked whether it lives without a round trip, and never believed when there is doubt."""

from __future__ import annotations

import time

import pytest
from django.db import OperationalError, ProgrammingError, close_old_connections, connection, transaction

from idp.database import prepared

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def statements_asked() -> int:
    """How many statements the question costs."""
    asked: list[str] = []
    raw = connection.connection
    original = raw.cursor

    def cursor(*args, **kwargs):
        asked.append("cursor")
        return original(*args, **kwargs)

    raw.cursor = cursor
    try:
        assert connection.is_usable()
    finally:
        del raw.cursor
    return len(asked)


def test_a_connection_in_use_is_not_asked_again():
    connection.ensure_connection()
    connection.is_usable()
    assert statements_asked() == 0


def test_one_that_was_silent_for_long_is_asked(monkeypatch):
    connection.ensure_connection()
    connection.is_usable()
    later = time.monotonic() + 31
    monkeypatch.setattr("idp.database.postgresql.base.time.monotonic", lambda: later)
    assert statements_asked() == 1


def hang_up() -> None:
    """The server ends this connection, as it does when it stops."""
    connection.ensure_connection()
    connection.is_usable()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    other.close()
    time.sleep(0.2)


def test_one_that_the_server_closed_is_noticed():
    hang_up()
    assert not connection.is_usable()
    connection.close()


def test_one_that_ended_in_the_middle_of_a_statement_is_replaced():
    hang_up()
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert connection.connection is not None
    close_old_connections()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.parametrize("plans_last", [0.0, 60.0])
def test_a_connection_that_is_lost_is_django_s_error_also_when_plans_are_due(plans_last):
    prepared.fetch("SELECT 1")
    hang_up()
    with pytest.raises(OperationalError):
        prepared.fetch("SELECT 1", plans_last=plans_last)
    connection.close()


def test_plans_are_made_anew_when_they_are_old():
    """What was planned while the table was known to be empty would read it whole for ever."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE queue (id int PRIMARY KEY)")
        cursor.execute("VACUUM queue")
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        for _ in range(2):  # the driver prepares what comes again
            prepared.fetch("SELECT id FROM queue WHERE id = %s", [1])
        cursor.execute("INSERT INTO queue SELECT generate_series(1, 10000)")
        assert "Seq Scan" in plan(cursor)
        prepared.fetch("SELECT id FROM queue WHERE id = %s", [1], plans_last=0.0)
        assert "Seq Scan" not in plan(cursor)
    connection.close()


SHOW = "SHOW random_page_cost"


def shown() -> str:
    """How a statement that is planned when it runs is planned."""
    with connection.cursor() as cursor:
        cursor.execute(SHOW)
        return cursor.fetchone()[0]


def test_only_kept_statements_are_planned_for_tables_that_grow():
    assert shown() == "4"
    assert prepared.fetch(SHOW) == [("0.1",)]
    assert shown() == "4"
    assert prepared.fetch(SHOW) == [("0.1",)]


def test_also_after_a_rollback_has_taken_back_what_was_said():
    assert prepared.fetch(SHOW) == [("0.1",)]
    with transaction.atomic():
        assert shown() == "4"
        transaction.set_rollback(True)
    assert shown() == "4"
    with transaction.atomic():
        with transaction.atomic():
            assert prepared.fetch(SHOW) == [("0.1",)]
            transaction.set_rollback(True)
        assert prepared.fetch(SHOW) == [("0.1",)]
        assert shown() == "4"


def test_a_transaction_that_failed_can_be_rolled_back_to_its_savepoint_whatever_was_said_before():
    with transaction.atomic():
        prepared.fetch(SHOW)
        with pytest.raises(ProgrammingError), transaction.atomic():
            prepared.fetch("SELECT no_such_column")
        assert shown() == "4"


def test_a_list_that_reads_most_of_a_table_reads_it_whole_and_a_kept_statement_does_not():
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE queue AS SELECT id, repeat('x', 200) AS text "
            "FROM generate_series(1, 5000) id ORDER BY md5(id::text)"
        )
        cursor.execute("CREATE INDEX ON queue (id)")
        cursor.execute("ANALYZE queue")
    most = "EXPLAIN SELECT * FROM queue WHERE id > 1500"
    with connection.cursor() as cursor:
        cursor.execute(most)
        assert "Seq Scan" in str(cursor.fetchall())
    assert "Seq Scan" not in str(prepared.fetch(most))
    connection.close()


def plan(cursor) -> str:
    cursor.execute("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%FROM queue%' LIMIT 1")
    cursor.execute(f"EXPLAIN EXECUTE {cursor.fetchone()[0]}(1)")
    return "\n".join(line for (line,) in cursor.fetchall())
