"""Curfew's own programs as real processes on the database of the test, and what tests do to them."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from idp.processes import children
from tests.support.receiver import is_ready, wait_until

ROOT = Path(__file__).parents[2]
OPTIONS = ("--without-gossip", "--without-mingle", "--loglevel", "info")


def database_url() -> str:
    """The URL of the database that this test's connection uses."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return f"{os.environ['DATABASE_URL'].rsplit('/', 1)[0]}/{name}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A child process with a log; `kill`, `stop`, `pause` and `resume` do what their signals do."""

    def __init__(self, argv: list[str], env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                argv, cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self, within: float = 10.0) -> int:
        """SIGTERM; returns the exit code, or fails if it takes longer."""
        self.process.terminate()
        return self.process.wait(within)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)


class Installation:
    """Context manager: starts programs with one environment and kills them in the end."""

    def __init__(self, folder: Path, *, redis_url: str = "", **environment: str) -> None:
        self.folder, self.port = folder, free_port()
        self.environment = {
            "ISSUER": f"http://localhost:{self.port}/",
            "PORT": str(self.port),
            "SECRET_KEY": settings.SECRET_KEY,
            "DATABASE_URL": database_url(),
            "REDIS_URL": redis_url,
            "CURFEW_DATA": str(folder / "data"),
            "CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8,::1/128",
            "CURFEW_DELIVERY_TIMEOUT": "2",
            **environment,
        }
        self.programs: list[Program] = []

    def __enter__(self) -> Installation:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("broker", "broker-control"):
            (self.folder / "data" / name).mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: Any) -> None:
        for program in self.programs:
            program.kill()

    def start(self, name: str, argv: list[str], **environment: str) -> Program:
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": "idp.settings", **self.environment, **environment}
        program = Program([sys.executable, *argv], env, self.folder / f"{name}-{len(self.programs)}.log")
        self.programs.append(program)
        return program

    def put_static_files(self) -> None:
        """As `collectstatic` would, once for all installations of this run: they do not differ."""
        shutil.copytree(_static_files(), Path(self.environment["CURFEW_DATA"]) / "static", dirs_exist_ok=True)

    def worker(self, *options: str, wait: bool = True, application: str = "idp", **environment: str) -> Program:
        """A Celery worker; returns when its drain runs."""
        name = f"worker{len(self.programs)}@localhost"
        program = self.start(
            "worker", ["-m", "celery", "-A", application, "worker", "-n", name, *OPTIONS, *options], **environment
        )
        if wait:
            wait_until(lambda: "logout.drain.started" in program.text, 60, program.log.name)
        return program

    def beat(self) -> Program:
        return self.start("beat", ["-m", "celery", "-A", "idp", "beat", "--pidfile=", "--loglevel", "warning"])

    def web(self, port: int | None = None, *, application: str = children.SERVED[0], **environment: str) -> Program:
        """A web server at the issuer's port, or another one beside it."""
        port = port or self.port
        argv = ["-m", "granian", application, *children.INTERFACE, "--workers", "1"]
        address = ["--host", "127.0.0.1", "--port", str(port)]
        program = self.start("web", [*argv, *address], CURFEW_WEB_THREADS="4", **environment)
        wait_until(lambda: is_ready(f"http://localhost:{port}/readyz"), 30, "the web server did not start")
        return program


@cache
def _static_files() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="curfew-static-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Installation(folder) as installation:
        assert installation.start("static", ["manage.py", "collectstatic", "--noinput"]).process.wait(120) == 0
    return folder / "data" / "static"
