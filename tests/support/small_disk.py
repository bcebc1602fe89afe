"""A disk that is really full: a small tmpfs, with a file that takes what is left, and a database of its own on it."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connections

from tests.support import backup, postgres
from tests.support.servers import start_postgres

SIZE = "160m"
BLOCK = 65536


class SmallDisk:
    """A mounted file system; `fill` leaves no byte of it, `free` gives back what `fill` took."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.filler = folder, folder / "filler"

    def fill(self) -> None:
        with self.filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):  # ENOSPC
            while True:
                file.write(bytes(BLOCK))

    def free(self) -> None:
        self.filler.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk() -> Iterator[SmallDisk]:
    folder = Path(tempfile.mkdtemp(prefix="curfew-disk-"))  # short: a socket's path has at most 107 characters
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", folder], capture_output=True, text=True
        )
        if mounted.returncode:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    finally:
        folder.rmdir()


class OnDisk:
    """A copy of the test's database, in its present state, on the small disk. The test's own queries go there too."""

    def __init__(self, disk: SmallDisk, url: str, **settings: str) -> None:
        self.disk, self.url = disk, url
        self._theirs = connections["default"]
        ours = self._theirs.copy()
        ours.settings_dict |= settings
        connections["default"] = ours

    def fill_disk(self) -> None:
        self.disk.fill()

    def stop(self) -> None:
        connections["default"].close()
        connections["default"] = self._theirs


class SQLiteOnDisk(OnDisk):
    def __init__(self, disk: SmallDisk) -> None:
        file = disk.folder / "curfew.sqlite3"
        backup.back_up(file)
        super().__init__(disk, f"sqlite:///{file}", NAME=str(file))

    def fill_disk(self) -> None:
        """Its journal has no room that was used before."""
        with connections["default"].cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        super().fill_disk()


class PostgresOnDisk(OnDisk):
    """Data and write-ahead log of a server of its own."""

    def __init__(self, disk: SmallDisk) -> None:
        self.folder = disk.folder / "pg"
        _, url = start_postgres(self.folder)
        backup.load(backup.dump(), ["-h", str(self.folder), "-U", "postgres", "-d", "postgres"])
        super().__init__(disk, url, NAME="postgres", HOST=str(self.folder), PORT="", USER="postgres", PASSWORD="")

    def fill_disk(self) -> None:
        """Its catalogue's cache file is written before: without room for that it would let in no new connection."""
        psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres").close()
        super().fill_disk()

    def start(self) -> None:
        """What a supervisor does when the server has ended."""
        self._control("-l", str(self.folder / "log"), "-o", f'-h "" -k {self.folder}', "start")

    def is_running(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._control("status")
            return True
        return False

    def stop(self) -> None:
        super().stop()
        self.disk.free()
        if self.is_running():
            self._control("-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        postgres.control(self.folder, "-w", *arguments)
