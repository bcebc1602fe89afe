"""What `manage.py up` does before it starts anything, tried with real processes on an empty database."""

from __future__ import annotations

import os
import sqlite3
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme
from django.core.management import CommandError, call_command
from django.db import connection

from idp import conf
from idp.crypto.keys import ALGORITHMS
from idp.operations import preparation
from tests.support import template
from tests.support.nursery import bare, run_in_bare
from tests.support.processes import database_url, free_port
from tests.support.servers import start_redis, stop
from tests.support.tls_front import TlsFront

ROOT = Path(__file__).parents[2]
COUNT = "SELECT count(*) FROM idp_signingkey"


@pytest.fixture
def empty(tmp_path: Path, transactional_db) -> Iterator[str]:
    """The URL of a database in which nothing is."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.sqlite3"
        return
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE prepared")
    yield f"{database_url().rsplit('/', 1)[0]}/prepared"
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE prepared WITH (FORCE)")


def environment_of(data: Path, **more: str) -> dict[str, str]:
    given = {"CURFEW_DATA": str(data), "CURFEW_DEMO": "0", "PORT": str(free_port()), "REDIS_URL": "", **more}
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "idp.settings", **given}


def prepare_at_once(folders: list[Path], url: str, logs: Path) -> list[str]:
    """What each of them said, in files of this folder."""
    one_key = {"SECRET_KEY": "of a test, and as long as a secret key has to be: 0123456789 abcdefghij"}
    started = {}
    for number, folder in enumerate(folders):
        environment, log = environment_of(folder, DATABASE_URL=url, **one_key), logs / f"said-{number}"
        started[log] = bare().born(["manage.py", "up", "--prepare-only"], environment, log)
    codes = [process.wait(300) for process in started.values()]
    said = [log.read_text() for log in started]
    assert codes == [0, 0, 0], said
    return said


def keys_in(url: str) -> int:
    if url.startswith("sqlite"):
        return int(sqlite3.connect(url.removeprefix("sqlite:///")).execute(COUNT).fetchone()[0])
    name = url.rsplit("/", 1)[1]
    with psycopg.connect(**{**connection.get_connection_params(), "dbname": name}) as other:
        return int(other.execute(COUNT).fetchone()[0])  # type: ignore[index]


def test_three_that_prepare_an_empty_database_at_once_all_succeed(empty: str, tmp_path: Path) -> None:
    """Two have a folder in common, where a file is the lock; the third one only the database, which has a lock of its own."""
    shared, own = tmp_path / "shared", tmp_path / "own"
    said = prepare_at_once([shared, own, shared], empty, tmp_path)
    together = "\n".join(said)
    assert together.count("Preparing the database.") == 1
    assert together.count("Preparing static files.") == 2
    assert keys_in(empty) == len(ALGORITHMS)
    assert all((folder / "static" / "staticfiles.json").exists() for folder in (shared, own))
    [lines] = [one.splitlines() for one in said if "Preparing the database." in one]
    begun = [line for line in lines if line.startswith("  migration ")]
    assert lines[lines.index("Preparing the database.") + 1] == begun[0]
    assert begun[0].startswith(f"  migration 1 of {len(begun)}: ")
    assert any("sessions_app.0001_initial" in line for line in begun)


@pytest.mark.django_db(transaction=True)
def test_who_prepares_waits_for_the_one_before(settings, tmp_path: Path) -> None:
    settings.DATA = tmp_path
    waiting, inside, done = threading.Event(), threading.Event(), threading.Event()

    def second() -> None:
        with connection.alone(7, waiting.set):
            inside.set()
        connection.close()
        done.set()

    with connection.alone(7, lambda: pytest.fail("nobody is before it")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(60)
        assert not inside.is_set()
    assert done.wait(60)
    thread.join()


@pytest.mark.once
def test_two_processes_that_need_a_secret_at_once_read_the_same_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "key"
    start, read = threading.Barrier(8), []

    def work() -> None:
        start.wait()
        read.append(conf.kept_secret(path))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 8
    assert len(set(read)) == 1
    assert len(read[0]) > 50
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["key"]


@pytest.fixture(scope="module")
def redis_and_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The ports of a Redis, and of the same behind a certificate that nobody trusts."""
    server, own = start_redis(tmp_path_factory.mktemp("redis"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(tls)
    port = int(own.rsplit(":", 1)[1].removesuffix("/0"))
    with TlsFront(tls, port) as front:
        yield {"redis": port, "tls": front.port}
    stop(server)


@pytest.mark.once
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqp://localhost", "Curfew cannot start: REDIS_URL must begin with redis://"),
        ("sentinel://localhost", "Curfew cannot start: REDIS_URL needs ?service_name="),
        ("redis://:wrong@127.0.0.1:{redis}", "REDIS_URL cannot work: "),
    ],
)
def test_a_redis_url_that_can_never_work_ends_up_with_one_sentence(
    tmp_path: Path, redis_and_tls: dict[str, int], url: str, said: str
) -> None:
    done = run_in_bare(["manage.py", "up"], environment_of(tmp_path / "data", REDIS_URL=url.format(**redis_and_tls)))
    lines = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 1
    assert len(lines) == 1
    assert said in lines[0]
    assert "wrong@" not in lines[0]


@pytest.mark.once
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://no-such-host.invalid", "REDIS_URL cannot work: "),
        ("redis://127.0.0.1:{redis}/99", "REDIS_URL cannot work: DB index is out of range"),
        ("rediss://localhost:{tls}", "REDIS_URL cannot work: "),
        ("sentinel://127.0.0.1:{redis}?service_name=m", "REDIS_URL cannot work: "),
    ],
)
def test_what_can_never_work_is_refused_before_anything_is_prepared(
    settings: Any,
    tmp_path: Path,
    redis_and_tls: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    said: str,
) -> None:
    """The same command, in this process: `manage.py` makes one sentence and the code 1 of its `CommandError`."""
    settings.DATA, settings.PORT, settings.REDIS_URL = tmp_path, free_port(), url.format(**redis_and_tls)
    monkeypatch.setattr(preparation, "prepare", lambda _: pytest.fail("it goes on"))
    with pytest.raises(CommandError) as refusal:
        call_command("up")
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.once
def test_a_redis_that_is_away_for_the_moment_stops_nothing(tmp_path: Path) -> None:
    own = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/own.sqlite3",
        "REDIS_URL": f"redis://:of-redis@127.0.0.1:{free_port()}",
    }
    template.begin_sqlite(tmp_path / "own.sqlite3")
    argv, environment = [sys.executable, "manage.py", "up"], environment_of(tmp_path / "data", **own)
    process = subprocess.Popen(
        argv, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    too_late = threading.Timer(300, process.kill)
    too_late.start()
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if "Curfew is ready" in line:
            process.terminate()
    too_late.cancel()
    process.wait(60)
    assert "does not answer yet" in said.splitlines()[0]
    assert "Curfew is ready" in said
    assert "Traceback" not in said
    assert "of-redis" not in said
