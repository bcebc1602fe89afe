"""The database of a run begins as a copy of one that was migrated before, which spares eight seconds of CPU.

It is kept in the user's cache by a fingerprint of everything that makes it. Django migrates the copy too, so what a copy
lacks is made; without a copy it makes all. So begins the database of a whole Curfew that a test starts beside it: that
`manage.py up` makes all of it on an empty one is for `tests/unit/test_preparation.py` and `tests/e2e/test_fresh_clone.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import django
import pytest
from django.apps import apps
from django.db import connection

from tests.support import postgres

FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "curfew-tests"
UNUSED = 7 * 86_400  # seconds until one goes
CANNOT = (OSError, RuntimeError, subprocess.SubprocessError)  # no such program, no such folder, another version


def fill_new_ones(patch: pytest.MonkeyPatch) -> None:
    """From now on a test database that Django makes is not empty."""
    creation: Any = connection.creation
    make = creation._create_test_db

    def make_and_fill(*args: Any, **kwargs: Any) -> str:
        name = str(make(*args, **kwargs))
        with contextlib.suppress(*CANNOT):
            _fill(name, _file())
        return name

    patch.setattr(creation, "_create_test_db", make_and_fill)


def keep() -> None:
    """The database as it is now, for later runs, unless there is one. Another run may do the same at this moment."""
    with contextlib.suppress(*CANNOT):
        _keep(_file())


def begin_sqlite(file: Path) -> None:
    """What begins there has its tables already, if they were kept before, whatever database this run has."""
    kept = FOLDER / f"{fingerprint(sqlite3.sqlite_version_info)}.sqlite"
    with contextlib.suppress(*CANNOT):
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, file)


def begin_postgres(name: str) -> None:
    """The same for an empty database on the server of this run."""
    with contextlib.suppress(*CANNOT):
        _fill(name, _file())


def _file() -> Path:
    return FOLDER / f"{fingerprint(connection.get_database_version())}.{connection.vendor}"


def fingerprint(version: tuple[int, ...]) -> str:
    """Of every migration, of our models, to which they refer, and of what makes SQL of them: this database, and Django."""
    found = hashlib.sha256(repr((django.VERSION, version)).encode())
    for app in apps.get_app_configs():
        folder = Path(app.path)
        for file in sorted(
            (*folder.glob("migrations/*.py"), *folder.glob("models/**/*.py"), *folder.glob("models.py"))
        ):
            found.update(f"{app.label} {file.name}\n".encode() + file.read_bytes())
    return found.hexdigest()[:32]


def _keep(file: Path) -> None:
    if file.exists():
        os.utime(file)
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        new = Path(folder) / "new"
        _save(new)
        new.rename(file)
    for old in FOLDER.glob(f"*.{connection.vendor}"):
        if old.stat().st_mtime < time.time() - UNUSED:
            old.unlink(missing_ok=True)


def _fill(name: str, file: Path) -> None:
    """Nothing, where there is no file."""
    if not file.exists():
        return
    if connection.vendor == "sqlite":
        shutil.copyfile(file, name)
    else:
        _run("psql", name, "-v", "ON_ERROR_STOP=1", "--single-transaction", "-q", "-o", os.devnull, "-f", str(file))


def _save(file: Path) -> None:
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(file)])
    else:
        _run("pg_dump", name, "-f", str(file))


def _run(program: str, database: str, *arguments: str) -> None:
    given = connection.settings_dict
    address = {
        "PGHOST": given["HOST"],
        "PGPORT": given["PORT"],
        "PGUSER": given["USER"],
        "PGPASSWORD": given["PASSWORD"],
    }
    environment = {**os.environ, **{name: str(value) for name, value in address.items() if value}}
    argv = [str(postgres.program(program)), "-d", database, *arguments]
    subprocess.run(argv, env=environment, check=True, capture_output=True, timeout=60)
