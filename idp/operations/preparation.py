"""What must be there before anything runs: tables, keys, static files. One process prepares at a time; the others wait for it."""

from __future__ import annotations

import contextlib
import gc
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration

from idp.crypto import keys, sealed
from idp.processes import children
from idp.tenants import management, signals_api

LOCK = 0x637572666577  # of PostgreSQL's advisory locks: one number for all that prepare this database

Say = Callable[[str], None]


def prepare(say: Say) -> None:
    """Idempotent. `say` hears a line of each thing that takes time."""
    with _alone(connection, lambda: say("Another process prepares this installation. Waiting for it.")):
        _migrate(say)
        call_command("createcachetable", verbosity=0)
        sealed.refuse_without_needed_keys()
        keys.ensure()
        management.ensure()
        signals_api.ensure()
        _collect_static(say)


@contextlib.contextmanager
def _alone(database: Any, when_waiting: Callable[[], None]) -> Iterator[None]:
    """Among all that share our folder, then among all that share our database: neither knows of the other."""
    with children.alone(settings.DATA / "prepare.lock", when_waiting), database.alone(LOCK, when_waiting):
        yield


def _migrate(say: Say) -> None:
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        say("Preparing the database.")
        gc.freeze()  # to look for what migrations leave among all of Django's modules took a tenth of the time
        try:
            call_command(_Migrate(say, len(plan)), interactive=False, verbosity=0)
        finally:
            gc.unfreeze()


class _Migrate(migrate.Command):
    """Says each migration when it begins, so that one that takes long is named."""

    def __init__(self, say: Say, planned: int) -> None:
        super().__init__()
        self._say, self._planned, self._begun = say, planned, 0

    def migration_progress_callback(self, action: str, migration: Migration | None = None, fake: bool = False) -> None:
        if action == "apply_start":
            self._begun += 1
            self._say(f"  migration {self._begun} of {self._planned}: {migration}")


def _collect_static(say: Say) -> None:
    """Collect and compress static files, unless they are those of last time."""
    stamp: Path = settings.DATA / "static.stamp"
    now = _static_fingerprint()
    if stamp.exists() and stamp.read_text() == now:
        return
    say("Preparing static files.")
    _clear_static()
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(now)


def _clear_static() -> None:
    """Without what pages of the release before name: its web servers may have our folder too, and serve until they are replaced."""
    named = set(getattr(staticfiles_storage, "hashed_files", {}).values())
    for path in list(Path(settings.STATIC_ROOT).rglob("*")):
        name = path.relative_to(settings.STATIC_ROOT).as_posix()
        if path.is_file() and name.removesuffix(".gz").removesuffix(".br") not in named:
            path.unlink()


def _static_fingerprint() -> str:
    digest = hashlib.sha256(str(settings.STATIC_ROOT).encode())
    for finder in finders.get_finders():
        for path, storage in finder.list([]):
            facts = Path(storage.path(path)).stat()
            digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()
