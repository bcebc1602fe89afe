"""The audit trail cannot be changed: not by the ORM, not by SQL, and only the purge deletes (ASVS 16.4.2)."""

import contextlib
import sqlite3
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from logout_app.ending import purge
from sessions_app.audit import permit
from sessions_app.models import SessionEvent

pytestmark = pytest.mark.django_db
TABLE = SessionEvent._meta.db_table
YEARS = timedelta(days=1000)


@pytest.fixture
def event() -> SessionEvent:
    return SessionEvent.objects.create(type="opened", sub="auth0|mary", at=timezone.now() - YEARS)


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    "change",
    [
        lambda: SessionEvent.objects.update(sub="auth0|bob"),
        lambda: SessionEvent.objects.bulk_update([SessionEvent.objects.get()], ["sub"]) or 0,
        lambda: SessionEvent.objects.all().delete(),
        lambda: SessionEvent.objects.get().delete(),
        lambda: SessionEvent.objects.all()._raw_delete("default"),
        lambda: sql(f"UPDATE {TABLE} SET type = 'joined'"),
        lambda: sql(f"UPDATE {TABLE} SET at = CURRENT_TIMESTAMP WHERE sub = 'auth0|mary'"),
        lambda: sql(f"DELETE FROM {TABLE}"),
        lambda: sql(f"DELETE FROM {TABLE} WHERE sub = 'auth0|mary'"),
    ],
    ids=["update", "bulk update", "delete", "one", "raw", "sql update", "sql of one", "sql delete", "sql delete one"],
)
def test_no_statement_changes_or_deletes_an_event(event, change):
    before = SessionEvent.objects.values().get()
    with pytest.raises(DatabaseError, match="append only"), transaction.atomic():
        change()
    assert SessionEvent.objects.values().get() == before


def test_inserting_goes_on(event):
    SessionEvent.objects.create(type="joined")
    SessionEvent.objects.bulk_create([SessionEvent(type="ended"), SessionEvent(type="ended")])
    assert SessionEvent.objects.count() == 4


def run_purge() -> None:
    for _name, batch in purge.batches(timezone.now(), 90):
        batch()


def test_the_purge_deletes_what_is_old_and_the_trail_is_closed_again(event):
    """Also within the transaction in which the purge ran."""
    young = SessionEvent.objects.create(type="opened")
    run_purge()
    assert SessionEvent.objects.get() == young
    with pytest.raises(DatabaseError, match="append only"), transaction.atomic():
        SessionEvent.objects.all().delete()


def test_also_the_purge_changes_nothing(event):
    with pytest.raises(DatabaseError, match="append only"), transaction.atomic(), permit.purging():
        SessionEvent.objects.update(sub="")


def test_a_purge_that_fails_leaves_the_trail_closed(event):
    with pytest.raises(RuntimeError), transaction.atomic(), permit.purging():
        raise RuntimeError
    with pytest.raises(DatabaseError, match="append only"), transaction.atomic():
        SessionEvent.objects.all().delete()


@pytest.mark.sqlite
def test_a_program_that_is_not_ours_cannot_say_that_it_purges():
    """sqlite3 on the file knows no such function."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE tbl_name = %s AND type IN ('table', 'trigger')", [TABLE])
        schema = [statement for (statement,) in cursor.fetchall()]
    with contextlib.closing(sqlite3.connect(":memory:")) as other:
        for statement in schema:
            other.execute(statement)
        other.execute(
            f"INSERT INTO {TABLE} (at, type, sid, sub, client_id, connection, initiator, actor, user_agent, data)"
            " VALUES ('2026-11-20', 'opened', '', '', '', '', '', '', '', '{}')"
        )
        with pytest.raises(sqlite3.DatabaseError, match=permit.FUNCTION):
            other.execute(f"DELETE FROM {TABLE}")
        with pytest.raises(sqlite3.DatabaseError, match="append only"):
            other.execute(f"UPDATE {TABLE} SET type = 'joined'")
