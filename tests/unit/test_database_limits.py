"""How long which process waits for its database, and what of that a pooler gets to see."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection, connections, transaction

from idp.database import limits as database_limits
from idp.database.outage import OUTAGES
from idp.processes import role
from idp.processes.role import ProcessRole
from logout_app.ending.end import LONGEST_ACT, Selection, _at_length
from tests.support.factories import make_user

NAMES = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


@pytest.fixture
def in_role(monkeypatch):
    """As if the process had been started so; the connection is a new one."""

    def become(wanted: ProcessRole) -> None:
        connection.close()
        monkeypatch.setattr(role, "_now", wanted)

    yield become
    connection.close()


def told() -> list[str]:
    with connection.cursor() as cursor:
        return [_shown(cursor, name) for name in NAMES]


def _shown(cursor, name: str) -> str:
    cursor.execute(f"SHOW {name}")
    return str(cursor.fetchone()[0])


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("wanted", "limits"),
    [
        (ProcessRole.WEB, ["2s", "4s", "4s"]),
        (ProcessRole.WORKER, ["2s", "2min", "2min"]),
        (ProcessRole.COMMAND, ["0", "0", "0"]),  # a migration, the purge of `cleartokens`, a backup's SELECT
    ],
)
def test_the_server_knows_how_long_each_kind_of_process_waits(in_role, wanted, limits):
    in_role(wanted)
    assert told() == limits


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_behind_a_pooler_that_hands_connections_out_nothing_is_set_and_the_roles_settings_count(in_role, settings):
    settings.DATABASE_SESSION_SETTINGS = False
    in_role(ProcessRole.WEB)
    assert told() == ["0", "0", "0"]
    with connection.cursor() as cursor:
        assert _shown(cursor, "random_page_cost") == "4"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_behind_such_a_pooler_a_wait_ends_all_the_same(in_role, settings):
    """Then it is this side that ends it: the statement is cancelled, and its connection goes on to serve."""
    settings.DATABASE_SESSION_SETTINGS = False
    settings.DATABASE_STATEMENT_TIMEOUT = 1
    in_role(ProcessRole.WEB)
    with connection.cursor() as cursor:
        with pytest.raises(OperationalError) as caught:
            cursor.execute("SELECT pg_sleep(30)")
        assert caught.value.__cause__.sqlstate == "57014"
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_pooler_sees_no_option_that_it_could_refuse(in_role):
    in_role(ProcessRole.WEB)
    params = connection.get_connection_params()
    assert "options" not in params
    assert params["connect_timeout"] == 2
    assert params["tcp_user_timeout"] == 4000


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "sql", ["SET lock_timeout = 1; SELECT pg_advisory_lock(77)", "SET statement_timeout = 1; SELECT pg_sleep(5)"]
)
def test_what_a_limit_of_the_server_says_counts_as_a_database_that_is_away(in_role, sql):
    """55P03 and 57014: 503 with Retry-After, as for every other database that did nothing."""
    in_role(ProcessRole.WEB)
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(77)")
        with pytest.raises(OUTAGES), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    finally:
        other.close()


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_sqlite_waits_for_the_one_writer_as_long_as_for_a_lock(in_role):
    in_role(ProcessRole.WEB)
    assert connection.get_connection_params()["timeout"] == 2
    in_role(ProcessRole.COMMAND)
    assert connection.get_connection_params()["timeout"] == 5


def test_a_request_waits_less_than_its_client():
    """Browsers wait for minutes, SDKs and load balancers for ten seconds or less; our own word must come before."""
    assert database_limits.Limits(2, 2, 4, 4).answer < 5


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_act_that_ends_many_sessions_may_take_longer_than_other_statements_of_a_web_server(in_role):
    in_role(ProcessRole.WEB)
    selection = Selection.user(make_user().pk)
    with transaction.atomic(), _at_length(selection):
        assert told()[1] == "1min"
        assert database_limits.limits().statement == LONGEST_ACT
    assert told()[1] == "4s"
