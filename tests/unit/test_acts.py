"""One composer of acts: the same by name on both databases, and locks in the order in which the steps are written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections, transaction

from idp.database.acts import Act, ActStep, Gives
from idp.database.prepared import fetch

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = ("acts_first", "acts_second")
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%acts_first%'"


@pytest.fixture(autouse=True)
def tables() -> Iterator[None]:
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"CREATE TABLE {table} (id integer PRIMARY KEY, value integer NOT NULL)")
            cursor.execute(f"INSERT INTO {table} (id, value) VALUES (1, 0), (2, 0), (3, 0)")
    yield
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DROP TABLE {table}")


def values(table: str) -> list[int]:
    return [value for (value,) in fetch(f"SELECT value FROM {table} ORDER BY id")]


def adds_to(table: str, condition: str, returning: str = "id") -> str:
    return f"UPDATE {table} SET value = value + 1 WHERE {condition} RETURNING {returning}"


def test_steps_give_by_name_what_they_returned():
    act = Act(
        ActStep("row", adds_to("acts_first", "id = %(id)s", "id, value"), columns=("id", "value")),
        ActStep(
            "rows",
            adds_to("acts_second", "id <= {row.value} + 1 AND {then}", "id = 1 AS is_one, value > 0 AS is_raised"),
            columns=("is_one", "is_raised"),
            gives=Gives.COUNTS,
            needs=("row",),
        ),
        ActStep("counted", "SELECT {rows.count} AS id", gives=Gives.ROWS),
    )
    assert act.run({"id": 2}) == {"row": (2, 1), "rows": (1, 2), "counted": [(2,)]}
    assert act.run({"id": 99}) == {"row": None, "rows": (0, 0), "counted": [(0,)]}
    assert (values("acts_first"), values("acts_second")) == ([0, 1, 0], [1, 1, 0])


def test_what_a_step_needs_and_lacks_decides_whether_it_is_done():
    elsewhere = "SELECT id, id > 1 AS is_high FROM acts_first WHERE id = %(id)s"
    act = Act(
        ActStep("found", elsewhere, columns=("id", "is_high"), gives=Gives.ROWS),
        ActStep("high", adds_to("acts_first", "id = %(id)s AND {then}"), needs=("found.is_high",)),
        ActStep("low", adds_to("acts_second", "id = %(id)s AND {then}"), lacks=("found.is_high",)),
    )
    assert act.run({"id": 1}) == {"found": [(1, False)], "high": None, "low": (1,)}
    assert act.run({"id": 2}) == {"found": [(2, True)], "high": (2,), "low": None}


def test_values_may_come_for_each_step_in_turn():
    act = Act(
        ActStep("first", adds_to("acts_first", "id = %s")),
        ActStep("second", "UPDATE acts_second SET value = %s WHERE id = %s AND {then} RETURNING id", needs=("first",)),
    )
    assert act.run([[3], [7, 2]]) == {"first": (3,), "second": (2,)}
    assert act.run([[9], [8, 2]]) == {"first": None, "second": None}
    assert values("acts_second") == [0, 7, 0]


def test_an_act_that_fails_leaves_nothing():
    act = Act(
        ActStep("first", adds_to("acts_first", "id = 1")),
        ActStep("second", "INSERT INTO acts_second (id, value) SELECT {first}, 1 WHERE {then} RETURNING id"),
    )
    with pytest.raises(Exception, match=r"(?i)unique"):
        act.run({})
    assert values("acts_first") == [0, 0, 0]


@pytest.mark.parametrize(
    "second",
    [
        adds_to("acts_second", "id = 1"),
        adds_to("acts_second", "id IN (SELECT id FROM {first.rows})"),
        "INSERT INTO acts_second (id, value) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET value = 2",
        "SELECT id FROM acts_second WHERE id = 1 FOR NO KEY UPDATE",
    ],
)
def test_a_step_that_may_lock_before_its_turn_is_refused(second):
    with pytest.raises(ValueError, match="second may lock before first does"):
        Act(ActStep("first", adds_to("acts_first", "id = 1")), ActStep("second", second))


def test_a_step_cannot_read_what_comes_after_it():
    with pytest.raises(ValueError, match="first reads what is not before it: second"):
        Act(
            ActStep("first", adds_to("acts_first", "id = {second}")),
            ActStep("second", adds_to("acts_second", "id = 1")),
        )


def test_who_only_reads_what_another_step_gave_waits_for_whom_that_one_waited_for():
    Act(
        ActStep("first", adds_to("acts_first", "id = 1")),
        ActStep("between", "INSERT INTO acts_first (id, value) SELECT 4, {first} RETURNING id"),
        ActStep("second", adds_to("acts_second", "id = {between}")),
    )


class Elsewhere:
    """An act in a thread and on a connection of its own."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act, self.result, self.error = act, None, None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._act()
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            self.error = error
        finally:
            connections.close_all()

    def end(self) -> Any:
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.error:
            raise self.error
        return self.result


def until_waiting(number: int) -> None:
    """So many acts wait for a lock."""
    ends = time.monotonic() + 60
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            while time.monotonic() < ends:
                cursor.execute(WAITS)
                if cursor.fetchone() == (number,):
                    return
                time.sleep(0.02)
    finally:
        other.close()
    raise AssertionError("nobody waits")


# What PostgreSQL would do first, as it happens: what its main SELECT asks for first, and of what nobody asks for the last.
TWO_LOCKS = Act(
    ActStep("first", adds_to("acts_first", "id <= 2"), gives=Gives.NOTHING),
    ActStep("second", adds_to("acts_second", "id = 1 AND {then}")),
)
UNREAD = Act(
    ActStep("first", adds_to("acts_first", "id <= 2"), gives=Gives.NOTHING),
    ActStep("second", adds_to("acts_second", "id = 1 AND {then}"), gives=Gives.NOTHING),
    ActStep("answer", "SELECT 1 AS id"),
)


@pytest.mark.postgresql
@pytest.mark.parametrize("act", [TWO_LOCKS, UNREAD], ids=["the second is asked for first", "nobody asks for either"])
def test_locks_are_taken_in_the_order_of_the_steps_whatever_order_the_parts_are_run_in(act):
    """While an act waits for its first lock the second row is anybody's: whoever holds it and wants the first one goes on."""
    with transaction.atomic():
        fetch("SELECT id FROM acts_first WHERE id = 2 FOR UPDATE")
        waiting = [Elsewhere(lambda: act.run({})) for _ in range(2)]
        until_waiting(2)
        # PostgreSQL would end one of us as a deadlock, if an act held this row.
        fetch("SELECT id FROM acts_second WHERE id = 1 FOR UPDATE")
        fetch("UPDATE acts_first SET value = value + 10 WHERE id = 2 RETURNING id")
    for one in waiting:
        one.end()
    assert (values("acts_first"), values("acts_second")) == ([2, 12, 0], [2, 0, 0])
