"""Where PostgreSQL's programs are: in the package pgserver, which Python 3.13 and later do not have, or in the system."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

SYSTEM_FOLDERS = Path("/usr/lib/postgresql")  # Debian: one for each version
SETTINGS = ("fsync = off", "full_page_writes = off", "synchronous_commit = off")


def program(name: str) -> Path:
    """`psql`, `pg_ctl` and so on, of the version that the tests' server has."""
    return folder_of_programs() / name


def folder_of_programs() -> Path:
    with contextlib.suppress(ImportError):
        from pgserver._commands import POSTGRES_BIN_PATH

        return Path(POSTGRES_BIN_PATH)
    versions = sorted(SYSTEM_FOLDERS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which("initdb")
    if not found:
        raise RuntimeError("No PostgreSQL here: install the Debian package postgresql, or set DATABASE_URL.")
    return Path(found).parent


def control(folder: Path, *arguments: str) -> None:
    """pg_ctl, as the owner of the server's data. Raises CalledProcessError."""
    argv = [str(program("pg_ctl")), "-D", str(folder), *arguments]
    user = folder.owner() if os.geteuid() == 0 else None
    subprocess.run(argv, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def start(folder: Path) -> tuple[Callable[[], None], str]:
    """A PostgreSQL of the system, on a Unix socket in `folder`; returns what stops it, and a DATABASE_URL."""
    folder.mkdir(parents=True, exist_ok=True)
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        folder.parent.chmod(folder.parent.stat().st_mode | 0o011)  # what mkdtemp makes nobody else may pass through
    options = ["--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "-U", "postgres"]
    subprocess.run(
        [str(program("initdb")), "-D", str(folder), *options],
        check=True,
        user=user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    with (folder / "postgresql.auto.conf").open("a") as file:
        file.write("\n".join((*SETTINGS, "listen_addresses = ''", f"unix_socket_directories = '{folder}'", "")))
    control(folder, "-w", "-l", str(folder / "log"), "start")
    return lambda: control(folder, "-w", "-m", "immediate", "stop"), f"postgres://postgres@/{folder}/postgres"
