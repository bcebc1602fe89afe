"""Databases of earlier releases as SQL, one file for each release and kind of database, and how one is loaded.

`make release-dump` writes those of this tree's version (`write_dump.py`). A file of a release that is out is never written again.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection

from tests.support import backup

FOLDER = Path(__file__).parent
AT = datetime(2026, 11, 30, 12, tzinfo=UTC)  # when all of it happened: sessions of that day live on that day only
ENCRYPTION_KEY = "of-the-dumps-in-tests-upgrade-and-of-nothing-else"  # seals their secrets
EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET search_path TO public; SELECT '';"


def file_of(version: str) -> Path:
    return FOLDER / f"{version}.{connection.vendor}.sql"


def versions() -> list[str]:
    """Those that were released, for each kind of database the same."""
    return sorted({path.name.removesuffix(".sqlite.sql") for path in FOLDER.glob("*.sqlite.sql")})


def dump() -> str:
    """The test's database as it is."""
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        return "\n".join(connection.connection.iterdump()) + "\n"
    return backup.dump("--no-owner", "--no-privileges", "--inserts").decode()


def load(version: str) -> None:
    """Instead of everything that is in the test's database."""
    sql = file_of(version).read_text()
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        with closing(sqlite3.connect(":memory:")) as made:
            made.executescript(sql)
            made.backup(connection.connection)
        return
    ours = backup.address()
    connection.close()
    backup.load((EMPTY + "\n" + sql).encode(), ours)
