"""Standbys of PostgreSQL, real servers on loopback: a pair in which the second has every commit before its client hears of it, and
one that follows the server of this run.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.support import postgres
from tests.support.processes import free_port
from tests.support.receiver import wait_until
from tests.support.servers import start_postgres


def copy(source: Sequence[str], owner: Path, folder: Path) -> None:
    """A standby's data in `folder`. `source`: options of pg_basebackup; `owner`: something that the server's user has."""
    folder.mkdir(mode=0o700)
    os.chown(folder, owner.stat().st_uid, -1)
    subprocess.run(
        [postgres.program("pg_basebackup"), *source, "-U", "postgres", "-D", str(folder), "-R", "-c", "fast"],
        check=True,
        user=owner.owner() if os.geteuid() == 0 else None,
        cwd=folder,
    )


class Follower:
    """Context manager: a standby of the server of this run, which it follows as fast as it can."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.primary = Path(
            "/" + os.environ["TEST_POSTGRES_URL"].partition("@")[2].removesuffix("/postgres").strip("/")
        )

    def __enter__(self) -> Follower:
        copy(["-h", str(self.primary)], self.primary, self.folder)
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder}"
        postgres.control(self.folder, "-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        postgres.control(self.folder, "-w", "-m", "immediate", "stop")

    def ask(self, sql: str, *values: object) -> None:
        url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql, values or None)

    def processes(self) -> list[psutil.Process]:
        first = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        return [first, *first.children(recursive=True)]


class PostgresPair:
    """Context manager."""

    def __init__(self, folder: Path) -> None:
        self.first, self.second = folder / "first", folder / "second"
        self.ports = {self.first: free_port(), self.second: free_port()}
        self.running: list[Path] = []

    def url(self, database: str = "curfew") -> str:
        """Of whichever takes writes."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports.values())
        return f"postgres://postgres@{hosts}/{database}?target_session_attrs=read-write"

    @property
    def address(self) -> dict[str, str]:
        """Of the first one, as Django's settings have it."""
        return {"HOST": "127.0.0.1", "PORT": str(self.ports[self.first]), "USER": "postgres", "PASSWORD": ""}

    @property
    def version(self) -> tuple[int, ...]:
        [(number,)] = self.ask("SHOW server_version_num")
        return divmod(int(number), 10_000)

    def __enter__(self) -> PostgresPair:
        self._clean_up, _ = start_postgres(self.first)
        postgres.control(self.first, "-w", "-o", self._options(self.first), "-l", str(self.first / "log"), "restart")
        self.running.append(self.first)
        self.ask("CREATE DATABASE curfew", database="postgres")
        copy(["-h", "127.0.0.1", "-p", str(self.ports[self.first])], self.first, self.second)
        self._start(self.second)
        self.ask("ALTER SYSTEM SET synchronous_standby_names = '*'", database="postgres")
        self.ask("ALTER SYSTEM SET synchronous_commit = 'on'", database="postgres")
        self.ask("SELECT pg_reload_conf()", database="postgres")
        wait_until(lambda: self._replicates(), 60, "no replication")
        return self

    def __exit__(self, *_: Any) -> None:
        for folder in self.running:
            postgres.control(folder, "-w", "-m", "immediate", "stop")
        self._clean_up()

    def fail_over(self) -> None:
        """The first one dies; returns when the second takes writes."""
        postgres.control(self.first, "-w", "-m", "immediate", "stop")
        self.running.remove(self.first)
        postgres.control(self.second, "-w", "promote")

    def ask(self, sql: str, *values: object, database: str = "curfew") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(database).replace("postgres://", "postgresql://"), autocommit=True) as connection:
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def copy_into(self, database: str) -> None:
        """What was backed up now, restored into a new database."""
        self.ask(f'CREATE DATABASE "{database}"', database="postgres")
        address = ["-h", "127.0.0.1", "-p", str(self.ports[self.running[-1]]), "-U", "postgres", "-d"]
        dump = subprocess.run([postgres.program("pg_dump"), *address, "curfew"], check=True, capture_output=True).stdout
        options = ["--quiet", "--set", "ON_ERROR_STOP=1", "--output", os.devnull]
        subprocess.run([postgres.program("psql"), *address, database, *options], input=dump, check=True)

    def _start(self, folder: Path) -> None:
        postgres.control(folder, "-w", "-o", self._options(folder), "-l", str(folder / "log"), "start")
        self.running.append(folder)

    def _options(self, folder: Path) -> str:
        return f"-h 127.0.0.1 -p {self.ports[folder]} -k {folder}"

    def _replicates(self) -> bool:
        return self.ask("SELECT sync_state FROM pg_stat_replication", database="postgres") == [("sync",)]
