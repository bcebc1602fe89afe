"""The database of a run begins as a copy of one that was migrated before, which spares eight seconds of CPU.
A whole Curfew's static files and catalogues begin as what another one has collected and compiled.

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
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import django
import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import override_settings

from idp.operations import catalogues
from tests.support import postgres

ROOT = Path(__file__).parents[2]
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
    with contextlib.suppress(*CANNOT):
        kept = FOLDER / f"{fingerprint(sqlite3.sqlite_version_info)}.sqlite"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, file)


def begin_postgres(name: str, address: Mapping[str, object] | None = None, version: tuple[int, ...] = ()) -> None:
    """The same for an empty database on the server of this run, or on one of this version."""
    with contextlib.suppress(*CANNOT):
        version = version or connection.get_database_version()
        _fill_postgres(name, FOLDER / f"{fingerprint(version)}.postgresql", address or connection.settings_dict)


def begin_files(data: Path) -> None:
    """What begins with this folder finds nothing to collect or to compile, if another one has done so before."""
    with contextlib.suppress(*CANNOT):
        shutil.copytree(_files() / "static", data / "static")
        (data / "static.stamp").write_text(_stamp(data / "static"))
    begin_catalogues(data)


def begin_catalogues(data: Path) -> None:
    with contextlib.suppress(*CANNOT):
        shutil.copytree(_files() / "locale", data / "locale", dirs_exist_ok=True)


def keep_files(data: Path) -> None:
    """What was collected and compiled there, unless it is kept already."""
    with contextlib.suppress(*CANNOT):
        if _files().exists():
            os.utime(_files())
            return
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            new = Path(folder) / "new"
            for name in ("static", "locale"):
                shutil.copytree(data / name, new / name)
            new.rename(_files())
        for old in FOLDER.glob("*.files"):
            if old.stat().st_mtime < time.time() - UNUSED:
                shutil.rmtree(old)


@cache
def _files() -> Path:
    """By everything that makes them."""
    if not apps.ready:
        raise RuntimeError("nobody who tests: tests.e2e.screenshots")
    how = (ROOT / "idp" / "http" / "static_files.py").read_bytes()
    texts = catalogues.compiled_folder(ROOT / "locale", FOLDER).name
    return FOLDER / f"{hashlib.sha256(f'{_stamp(FOLDER)}{texts}'.encode() + how).hexdigest()[:32]}.files"


def _stamp(root: Path) -> str:
    """As the product writes it, of what is collected and where."""
    from idp.operations import preparation  # models, which not everybody who imports us has

    with override_settings(STATIC_ROOT=root):
        return preparation._static_fingerprint()


def _file() -> Path:
    return FOLDER / f"{fingerprint(connection.get_database_version())}.{connection.vendor}"


def fingerprint(version: tuple[int, ...]) -> str:
    """Of every migration, of our models, to which they refer, and of what makes SQL of them: this database, and Django."""
    if not apps.ready:
        raise RuntimeError("nobody who tests: tests.e2e.screenshots")
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
        _fill_postgres(name, file, connection.settings_dict)


def _fill_postgres(name: str, file: Path, address: Mapping[str, object]) -> None:
    if file.exists():
        how = ("-v", "ON_ERROR_STOP=1", "--single-transaction", "-q", "-o", os.devnull)
        _run(address, "psql", name, *how, "-f", str(file))


def _save(file: Path) -> None:
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(file)])
    else:
        _run(connection.settings_dict, "pg_dump", name, "-f", str(file))


def _run(given: Mapping[str, object], program: str, database: str, *arguments: str) -> None:
    address = {
        "PGHOST": given["HOST"],
        "PGPORT": given["PORT"],
        "PGUSER": given["USER"],
        "PGPASSWORD": given["PASSWORD"],
    }
    environment = {**os.environ, **{name: str(value) for name, value in address.items() if value}}
    argv = [str(postgres.program(program)), "-d", database, *arguments]
    subprocess.run(argv, env=environment, check=True, capture_output=True, timeout=60)
