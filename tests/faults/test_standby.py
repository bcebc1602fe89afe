"""Lists of administrators from a real standby: never older than the request, and from the primary whatever is wrong with the standby."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import Error, connection, connections
from django.test import Client
from django.utils import timezone

from idp.database.addresses import STANDBY
from idp.database.postgresql.silence import server
from idp.database.standby import watch
from idp.models import User
from logout_app.delivery import readiness
from logout_app.operators import doctor
from tests.support.factories import browser, make_session, make_user
from tests.support.management import Api
from tests.support.receiver import wait_until
from tests.support.standby import Follower

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.skipif(not os.environ.get("TEST_POSTGRES_URL"), reason="the server is not ours to copy"),
]


@pytest.fixture(scope="module")
def follower() -> Iterator[Follower]:
    folder = Path(os.environ["TEST_FOLDER"]) / f"standby-{os.getpid()}"
    with Follower(folder) as running:
        yield running


@pytest.fixture
def standby(follower: Follower, transactional_db: None, settings: Any) -> Iterator[list[str]]:
    """What is asked of it but for how far it is, as SQL. Commits of the test are durable, as those of a production are."""
    place = {
        "ENGINE": "idp.database.standby",
        "HOST": f"{follower.primary},127.0.0.1",
        "PORT": f"5432,{follower.port}",
        "OPTIONS": {"target_session_attrs": "standby"},
    }
    connections.settings[STANDBY] = {**connections.settings["default"], **place}
    settings.DATABASE_ROUTERS = ["idp.database.standby.router.ListsOnly"]
    database = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {database} SET synchronous_commit = on")
    connection.close()
    asked: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "pg_last_wal_replay_lsn" not in sql:
            asked.append(sql)
        return execute(sql, *rest)

    def connect() -> None:
        """Django's tests let nobody to a database that was none of theirs when they began."""
        if there.connection is None:
            with there.wrap_database_errors:
                there.connect()

    there = connections[STANDBY]
    there.execute_wrappers.append(note)
    there.ensure_connection = connect
    watch.notes.note("")
    readiness.standby.forget()
    wait_until(lambda: not watch.look().problem, 60, "the standby does not follow")
    yield asked
    connections[STANDBY].close()
    del connections[STANDBY]
    del connections.settings[STANDBY]
    watch.notes.note("")
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {database} RESET synchronous_commit")


@pytest.fixture
def administrator(standby: list[str]) -> Client:
    return browser(make_session(make_user("admin@fabrikamcorp.com", is_staff=True, is_superuser=True)))


def shown(administrator: Client, address: str = "/admin/idp/user/") -> str:
    page = administrator.get(address)
    assert page.status_code == 200
    return page.content.decode()


def verdicts() -> tuple[str, str, float]:
    """Of /readyz, the doctor and /metrics."""
    readiness.standby.forget()
    said = Client().get("/readyz").json()["standby"]
    ((level, _),) = doctor.TOPICS["standby"](timezone.now())
    text = Client().get("/metrics").content.decode()
    return said, level, float(text.partition("\ncurfew_standby_used ")[2].split()[0])


def test_a_list_comes_from_the_standby_and_has_what_was_written_a_moment_before(
    administrator: Client, standby: list[str]
) -> None:
    api = Api()
    for number in range(4):
        address = f"p{number}@fabrikamcorp.com"
        make_user(address)
        assert address in shown(administrator)
        assert any('FROM "idp_user"' in sql for sql in standby)
        standby.clear()
        assert address in {user["email"] for user in api.get("users", take="50").json()["users"]}
        assert any('FROM "idp_user"' in sql for sql in standby)
        assert all(sql.startswith("SELECT") for sql in standby)
        standby.clear()
    assert verdicts() == ("ok", "ok", 1.0)


def test_what_is_written_of_its_rows_goes_to_the_primary_and_it_takes_no_writes(standby: list[str]) -> None:
    user = make_user("mary@fabrikamcorp.com")
    wait_until(lambda: not watch.look().problem, 30)
    found = User.objects.using(STANDBY).get(pk=user.pk)
    found.name = "Mary"
    found.save()
    assert User.objects.get(pk=user.pk).name == "Mary"
    with connections[STANDBY].cursor() as cursor:
        cursor.execute("SHOW default_transaction_read_only")
        assert cursor.fetchone() == ("on",)
        with pytest.raises(Error, match="read-only"):
            cursor.execute("DELETE FROM idp_user")


@pytest.fixture
def fault(follower: Follower) -> Iterator[Callable[[str], None]]:
    """Do something to the standby, by name, and undo it afterwards."""
    undo: list[Callable[[], None]] = []

    def send(number: int) -> None:
        for process in follower.processes():
            process.send_signal(number)

    def do(name: str) -> None:
        if name == "behind":
            follower.ask("SELECT pg_wal_replay_pause()")
            undo.append(lambda: follower.ask("SELECT pg_wal_replay_resume()"))
        elif name == "away":
            follower.stop()
            undo.append(follower.start)
        elif name == "silent":
            send(signal.SIGSTOP)
            undo.append(lambda: send(signal.SIGCONT))
        elif name == "a primary":
            there = connections.settings[STANDBY]
            there |= {"OPTIONS": {}, **{name: connections.settings["default"][name] for name in ("HOST", "PORT")}}
            connections[STANDBY].close()
            connections[STANDBY].settings_dict = there

    yield do
    for each in undo:
        each()


@pytest.mark.parametrize("name", ["behind", "away", "silent", "a primary"])
def test_a_standby_that_cannot_be_used_costs_no_list_and_is_used_again(
    administrator: Client, standby: list[str], fault: Callable[[str], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "admin@fabrikamcorp.com" in shown(administrator)
    assert standby
    standby.clear()
    fault(name)
    make_user("new@fabrikamcorp.com")
    assert "new@fabrikamcorp.com" in shown(administrator)
    assert standby == []
    asked = []
    monkeypatch.setattr(watch, "look", lambda: asked.append(1))
    assert "new@fabrikamcorp.com" in shown(administrator)  # for some seconds nobody waits for it
    monkeypatch.undo()
    assert asked == []
    if name != "silent":  # which each of them waits for
        said, level, used = verdicts()
        assert said.startswith({"behind": "behind by", "a primary": "no standby"}.get(name, "away")), said
        assert (level, used) == ("warning", 0.0)


def test_after_that_it_is_used_again(administrator: Client, standby: list[str]) -> None:
    assert "admin@fabrikamcorp.com" in shown(administrator)
    assert standby


def test_a_standby_that_ends_while_a_list_is_read_costs_no_list(
    administrator: Client, standby: list[str], follower: Follower
) -> None:
    """As it ends statements that are in the way of its replay."""
    ended = []

    def end(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if 'FROM "idp_user"' in sql and not ended:
            ended.append(connections[STANDBY].connection.info.backend_pid)
            follower.ask("SELECT pg_terminate_backend(%s, 10000)", ended[0])
        return execute(sql, *rest)

    connections[STANDBY].execute_wrappers.append(end)
    assert "admin@fabrikamcorp.com" in shown(administrator)
    assert ended
    assert watch.notes.problem == "away"


def test_of_several_hosts_the_one_that_takes_writes_is_found_behind_one_that_is_mute(follower: Follower) -> None:
    """As DATABASE_URL may name them: a machine that takes connections and says nothing, the standby, the primary."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        other = connection.copy()
        other.settings_dict |= {
            "HOST": f"127.0.0.1,127.0.0.1,{follower.primary}",
            "PORT": f"{mute.getsockname()[1]},{follower.port},5432",
            "OPTIONS": {"target_session_attrs": "read-write", "connect_timeout": 2, "prepare_threshold": 1},
        }
        begun = time.monotonic()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery()")
            assert cursor.fetchone() == (False,)
        assert 1.5 < time.monotonic() - begun < 6
        other.close()
    assert not server.is_silent
