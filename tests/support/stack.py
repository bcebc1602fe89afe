"""A whole Curfew with its demo, as processes of its own, for tests that need a real browser or real kills."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support import template
from tests.support.nursery import Born

ROOT = Path(__file__).parents[2]
MANAGE = [sys.executable, "manage.py"]
CONSOLE = [sys.executable, "-m", "tests.support.console"]
CELERY = [sys.executable, "-m", "celery", "--quiet", "-A", "idp"]
WORKER = [*CELERY, "worker", "-B", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
READY_WITHIN = 180.0  # seconds; a cold start on two busy cores
READY_WITHIN_CLONED = 600.0  # installs every package first
STOP_WITHIN = 20.0


@dataclass
class Stack:
    """Where everything is, and the processes by name."""

    port: int
    data: Path
    environment: dict[str, str]
    root: Path = ROOT
    ready_within: float = READY_WITHIN
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}/"

    def app(self, index: int) -> str:
        """The demo application's address: 0 JWT Debugger, 1 SharePoint Intranet, 2 Timesheet SaaS."""
        return f"http://localhost:{self.port + 1 + index}/"

    @property
    def okta(self) -> str:
        """The address of the demo's Okta organisation."""
        return f"http://localhost:{self.port + 4}/"

    @property
    def credentials(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.data / "demo" / "credentials.json").read_text())
        return found

    def start(self, name: str, argv: list[str], **pipes: int) -> None:
        with (self.data / f"{name}.log").open("ab") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **pipes}
            self.processes[name] = subprocess.Popen(argv, cwd=self.root, env=self.environment, **streams)  # type: ignore[call-overload]

    def prepare(self) -> None:
        """What `manage.py up` does before it starts anything."""
        subprocess.run([*MANAGE, "up", "--prepare-only"], cwd=self.root, env=self.environment, check=True, timeout=120)

    def run(self, *arguments: str) -> str:
        """A management command that ends by itself; its output."""
        if "console" not in self.processes:
            self.start("console", CONSOLE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        console = self.processes["console"]
        assert console.stdin
        assert console.stdout
        console.stdin.write(json.dumps(arguments).encode() + b"\n")
        console.stdin.flush()
        answer = console.stdout.readline()
        if not answer or json.loads(answer)["failure"]:
            raise RuntimeError(f"manage.py {' '.join(arguments)}: {answer.decode()}\n{self.log()}")
        return str(json.loads(answer)["said"])

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(STOP_WITHIN)

    def wait_until_ready(self) -> None:
        self.wait_for(f"{self.issuer}readyz")
        if self.environment.get("CURFEW_DEMO") != "0":
            for address in (*(self.app(index) for index in range(3)), self.okta):
                self.wait_for(f"{address}ping")

    @contextlib.contextmanager
    def example(self, name: str, variables: str, registered_port: int) -> Iterator[str]:
        """One of examples/ on a free port, with its tenant file applied; gives its address."""
        port = free_ports(1)
        tenant = self.data / f"{name}.yaml"
        registered = (self.root / "examples" / name / "tenant.yaml").read_text()
        tenant.write_text(registered.replace(f"localhost:{registered_port}", f"localhost:{port}"))
        self.run("apply", str(tenant))
        self.environment |= {f"{variables}_PORT": str(port), f"{variables}_ISSUER": self.issuer}
        self.start(name, [sys.executable, "-m", f"examples.{name}.app"])
        address = f"http://localhost:{port}/"
        self.wait_for(address)
        try:
            yield address
        finally:
            self.stop(name)

    def log(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-4000:]}" for path in sorted(self.data.glob("*.log")))

    def wait_for(self, address: str) -> None:
        deadline = time.monotonic() + self.ready_within
        while not answers(address):
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"{address} does not answer (ended: {ended})\n{self.log()}")
            time.sleep(0.02)


def answers(address: str) -> bool:
    """Whoever has certified it."""
    try:
        with urllib.request.urlopen(address, timeout=2, context=ssl._create_unverified_context()) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def embedded(data: Path, **settings: str) -> Iterator[Stack]:
    """`manage.py up`: everything in one process tree, on SQLite, without Redis."""
    template.begin_sqlite(data / "curfew.sqlite3")
    template.begin_files(data)
    with _stack(data, DATABASE_URL=None, REDIS_URL=None, **settings) as stack:
        stack.start("up", [*MANAGE, "up"])
        stack.wait_until_ready()
        template.keep_files(data)
        yield stack


@contextlib.contextmanager
def cloned(folder: Path) -> Iterator[Stack]:
    """What a stranger does: clone into an empty folder and type `make run`."""
    checkout = folder / "curfew"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    with _stack(checkout / "var") as stack:
        del stack.environment["CURFEW_DATA"]  # the default, as the stranger has it
        stack.root, stack.ready_within = checkout, READY_WITHIN_CLONED
        stack.start("make run", ["make", "run"])
        stack.wait_until_ready()
        yield stack


@contextlib.contextmanager
def split(data: Path, database_url: str, redis_url: str, **settings: str) -> Iterator[Stack]:
    """Web, worker and demo applications as processes of their own, on PostgreSQL and Redis."""
    allow = {"CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8,::1/128"}
    template.begin_files(data)
    with _stack(data, DATABASE_URL=database_url, REDIS_URL=redis_url, **allow, **settings) as stack:
        stack.prepare()
        template.keep_files(data)
        stack.start("apps", [*MANAGE, "demo", "--apps"])
        stack.start("web", [*MANAGE, "web"])
        stack.start("worker", WORKER)
        stack.wait_until_ready()
        yield stack


@contextlib.contextmanager
def _stack(data: Path, **settings: str | None) -> Iterator[Stack]:
    data.mkdir(parents=True, exist_ok=True)
    port = free_ports(5)
    environment = clean_environment()
    environment |= {name: value for name, value in settings.items() if value is not None}
    environment |= {"PORT": str(port), "CURFEW_DATA": str(data), "CURFEW_WEB_WORKERS": "1", "PYTHONUNBUFFERED": "1"}
    stack = Stack(port, data, environment)
    try:
        yield stack
    finally:
        for process in stack.processes.values():
            kill_with_children(process)


def kill_with_children(process: subprocess.Popen[bytes] | Born) -> None:
    """Where nobody asks how it stops, which takes a worker five seconds."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        parent.suspend()  # it starts nobody again
        for one in (*parent.children(recursive=True), parent):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def clean_environment() -> dict[str, str]:
    """Ours without the settings of the test run: each Curfew here has a database and a Redis of its own, or none."""
    ours = (
        *("CURFEW_", "DATABASE_URL", "REDIS_URL", "ISSUER", "SECRET_KEY", "DJANGO_SETTINGS_MODULE", "PORT"),
        "PYTEST_",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on, below the range of outgoing connections."""
    for _ in range(200):
        first = random.randrange(11_000, 30_000)
        if all(is_free(first + offset) for offset in range(count)):
            return first
    raise RuntimeError("no free ports")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
