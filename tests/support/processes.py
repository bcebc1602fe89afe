"""Curfew's own programs as real processes on the database of the test, and what tests do to them."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection

from idp.processes import children
from tests.support import template
from tests.support.nursery import Born, Nursery, bare, nursery
from tests.support.receiver import is_ready, wait_until
from tests.support.stack import free_ports, is_free

ROOT = Path(__file__).parents[2]
OPTIONS = ("--without-gossip", "--without-mingle", "--loglevel", "info")
# What modules of tests read, which a program loads after those of ours.
OF_TESTS = frozenset({"CLOCK_OFF", "SWEEP_SECONDS", "REPORT_SECONDS", "KILLED_AT", "KILLED_ONCE"})


def database_url() -> str:
    """The URL of the database that this test's connection uses."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return f"{os.environ['DATABASE_URL'].rsplit('/', 1)[0]}/{name}"


@cache
def redis_port() -> int:
    """For the Redis that a test has for itself: what was loaded with its address serves the next test."""
    return free_ports(1)


def served_at(port: int) -> list[str]:
    """What `manage.py web` becomes: one process, at this port."""
    argv = children.web().argv[1:]
    for name, value in (("--host", "127.0.0.1"), ("--port", str(port)), ("--workers", "1")):
        argv[argv.index(name) + 1] = value
    return argv


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A process with a log; `kill`, `stop`, `pause` and `resume` do what their signals do."""

    def __init__(self, argv: list[str], env: dict[str, str], log: Path, within: Nursery | None = None) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | Born
        if within:
            self.process = within.born(argv, env, log)
            return
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
        wait_until(lambda: not _is_running(self.process.pid))  # what it had started, which may listen at its port

    def terminate(self, within: float = 10.0) -> int:
        """SIGTERM; returns the exit code, or fails if it takes longer."""
        self.process.terminate()
        return self.process.wait(within)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)


def _is_running(group: int) -> bool:
    """Whether a process of this group lives; one that nobody has asked for its end does not."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of = path.read_text().rpartition(") ")[2].split()[:3]
            if int(of) == group and state != "Z":
                return True
    return False


class _Place:
    """A port and a folder of data that installations have one after another: what was loaded for one serves the next."""

    _free: ClassVar[list[_Place]] = []

    def __init__(self) -> None:
        self.port = free_ports(1)
        self.data = Path(tempfile.mkdtemp(prefix="curfew-place-", dir=os.environ.get("TEST_FOLDER")))
        atexit.register(shutil.rmtree, self.data, ignore_errors=True)
        template.begin_catalogues(self.data)

    @classmethod
    def take(cls) -> _Place:
        while cls._free:
            if is_free((place := cls._free.pop()).port):
                return place
        return cls()

    def leave(self) -> None:
        """Without what it has kept there; catalogues stay, which programs read when somebody needs them."""
        for path in self.data.iterdir():
            if path.name != "locale":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._free.append(self)


class Installation:
    """Context manager: starts programs with one environment and kills them in the end."""

    def __init__(self, folder: Path, *, redis_url: str = "", **environment: str) -> None:
        self._place = _Place.take()
        self.folder, self.port = folder, self._place.port
        self.environment = {
            "ISSUER": f"http://localhost:{self.port}/",
            "PORT": str(self.port),
            "SECRET_KEY": settings.SECRET_KEY,
            "DATABASE_URL": database_url(),
            "REDIS_URL": redis_url,
            "CURFEW_DATA": str(self._place.data),
            "CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8,::1/128",
            "CURFEW_DELIVERY_TIMEOUT": "2",
            "CURFEW_WEB_THREADS": "4",
            **environment,
        }
        self.programs: list[Program] = []

    def __enter__(self) -> Installation:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "data").unlink(missing_ok=True)
        (self.folder / "data").symlink_to(self._place.data)
        for name in ("broker", "broker-control"):
            (self._place.data / name).mkdir()
        return self

    def __exit__(self, *_: Any) -> None:
        for program in self.programs:
            program.kill()
        self._place.leave()

    def start(self, name: str, argv: list[str], **environment: str) -> Program:
        """In the nursery of this installation's settings, or with settings of its own in one that has read none."""
        ours = {**os.environ, "DJANGO_SETTINGS_MODULE": "idp.settings", **self.environment}
        log = self.folder / f"{name}-{len(self.programs)}.log"
        within = nursery(ours) if environment.keys() <= OF_TESTS else bare()
        program = Program(argv, ours | environment, log, within)
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
        program = self.start("web", [*argv, *address], **environment)
        wait_until(lambda: is_ready(f"http://localhost:{port}/readyz"), 30, "the web server did not start")
        return program


@cache
def _static_files() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="curfew-static-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    template.begin_files(folder)
    if not (folder / "static").exists():
        with Installation(folder) as installation:
            assert installation.start("static", ["manage.py", "collectstatic", "--noinput"]).process.wait(120) == 0
            for name in ("static", "locale"):
                shutil.copytree(folder / "data" / name, folder / name)
        template.keep_files(folder)
    return folder / "static"
