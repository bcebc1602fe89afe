from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.utils import NotSupportedError

from idp.database import prepared

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]  # SQLite's driver remembers by itself
SQL = "SELECT code FROM prepared_by_a_test WHERE code = %s"


@pytest.fixture
def table():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE prepared_by_a_test (code varchar(20))")
        cursor.execute("INSERT INTO prepared_by_a_test VALUES ('one')")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE prepared_by_a_test")


def plans() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [row[0] for row in cursor.fetchall()]


def widen() -> None:
    """A migration, run by another process: psycopg hears nothing of it."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("ALTER TABLE prepared_by_a_test ALTER COLUMN code TYPE varchar(30)")
    other.close()


def test_a_statement_is_planned_once_per_connection(table):
    assert [prepared.fetch(SQL, [code]) for code in ("one", "two", "one", "two")] == [[("one",)], [], [("one",)], []]
    assert len([sql for sql in plans() if "prepared_by_a_test" in sql]) == 1


def test_a_migration_that_changes_a_column_is_not_noticed(table):
    for _ in range(3):
        prepared.fetch(SQL, ["one"])
    widen()
    assert prepared.fetch(SQL, ["one"]) == [("one",)]


def test_a_transaction_is_not_broken_in_two(table):
    for _ in range(3):
        prepared.fetch(SQL, ["one"])
    widen()
    with pytest.raises(NotSupportedError), transaction.atomic():
        prepared.fetch(SQL, ["one"])
    assert prepared.fetch(SQL, ["one"]) == [("one",)]
