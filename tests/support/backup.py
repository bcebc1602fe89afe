"""The test's database as an administrator backs it up and restores it: `pg_dump` and `psql`, or a copy of the file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from django.db import connection

from tests.support.postgres import program


def back_up(file: Path) -> None:
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(file)) as copy:
            connection.ensure_connection()
            connection.connection.backup(copy)
        return
    file.write_bytes(dump("--clean", "--if-exists"))


def restore(file: Path) -> None:
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(file)) as copy:
            connection.ensure_connection()
            copy.backup(connection.connection)
        return
    ours = address()
    connection.close()
    load(file.read_bytes(), ours)


def dump(*options: str) -> bytes:
    """The SQL that makes the present state of the test's PostgreSQL database."""
    return subprocess.run([program("pg_dump"), *address(), *options], check=True, capture_output=True).stdout


def load(sql: bytes, target: list[str]) -> None:
    options = ["--quiet", "--set", "ON_ERROR_STOP=1", "--output", os.devnull]
    subprocess.run([program("psql"), *target, *options], input=sql, check=True)


def address() -> list[str]:
    ours = connection.settings_dict
    return ["-h", ours["HOST"], "-p", str(ours["PORT"] or 5432), "-U", ours["USER"], "-d", ours["NAME"]]
