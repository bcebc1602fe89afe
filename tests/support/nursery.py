"""Curfew's programs as children of a process that has loaded their modules, which spares each the seconds of its imports.

A nursery has one environment, by which the settings were read. What is born leads a session of its own and goes on as
`python -m celery` or `python manage.py` does from its first line: connections, threads, identity and end are its own. That
programs begin with nothing is for whatever runs `manage.py up`, here and in tests/e2e, tests/rps and tests/unit.

Nurseries are themselves children of one process, which has loaded what is not ours and reads no settings: that is half of
the work. One that loads no more (`bare`) has no environment of its own: each of its children reads the settings anew.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
CHANGES = ("PYTEST_CURRENT_TEST", "DJANGO_ALLOW_ASYNC_UNSAFE")  # with every test, and no program reads them
KEPT = 3  # nurseries at a time, of some 150 MB each
OF_OTHERS = (
    *(
        "celery.bin.celery",
        "celery.apps.worker",
        "celery.apps.beat",
        "celery.worker.consumer",
        "celery.worker.strategy",
    ),
    *(
        "granian.cli",
        "granian.server.mp",
        "granian.asgi",
        "uvloop",
        "kombu.transport.redis",
        "kombu.transport.filesystem",
    ),
    *(
        "django.core.management",
        "django.core.handlers.exception",
        "django.db.migrations",
        "django_structlog.middlewares",
    ),
    *("django.db.backends.postgresql.psycopg_any", "django.db.backends.sqlite3.base", "whitenoise.middleware"),
    *("aiodns", "argon2", "authlib.integrations.requests_client", "environ", "fido2.server", "jwcrypto.jwk", "ldap3"),
    *("lxml.etree", "oauthlib.oauth2", "onelogin.saml2.metadata", "prometheus_client", "yaml"),
)
OURS = (
    *("idp.celery", "idp.tasks", "sessions_app.tasks", "logout_app.tasks"),
    *("logout_app.worker.process", "logout_app.worker.pool", "logout_app.worker.broker"),
    *("idp.http.serving.threads", "idp.http.serving.bodies", "idp.http.serving.environ"),
)  # not what Granian serves: its module begins threads


class Born:
    """A child of a nursery, with what tests use of `subprocess.Popen`."""

    def __init__(self, nursery: Nursery, argv: Sequence[str], pid: int) -> None:
        self._nursery, self.args, self.pid = nursery, argv, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.ended(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if timeout is not None and deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class _Mother:
    """The process whose children nurseries are. It ends with ours."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.nursery"], cwd=ROOT, stdin=theirs.fileno()
            )

    def nursery(self) -> socket.socket:
        """By which it is spoken to."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._socket, [b"."], [theirs.fileno()])
        return ours

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


class Nursery:
    """The process, which has loaded everything when this returns. It ends with ours, and its children with it.

    Without an environment it has loaded what is not ours.
    """

    def __init__(self, environment: Mapping[str, str] | None) -> None:
        self._socket = _mother().nursery()
        self._said = self._socket.makefile("rb")
        self._lock = threading.Lock()
        self._born: list[Born] = []
        self._asked(None if environment is None else dict(environment))

    def born(self, argv: Sequence[str], environment: Mapping[str, str], log: Path, errors: Path | None = None) -> Born:
        """A program with its output in `log`; `environment` may differ in what is read after the settings."""
        logs = [str(log), str(errors or log)]
        pid = self._asked({"argv": [*argv], "environment": dict(environment), "logs": logs})
        self._born.append(child := Born(self, argv, int(pid)))
        return child

    def ended(self, pid: int) -> int | None:
        """The code with which it ended, which is told once."""
        code: int | None = self._asked({"pid": pid})
        return code

    @property
    def is_empty(self) -> bool:
        return all(child.poll() is not None for child in self._born)

    def close(self) -> None:
        """Returns when it has ended."""
        self._socket.shutdown(socket.SHUT_WR)
        self._said.read()
        self._said.close()
        self._socket.close()

    def _asked(self, what: object) -> Any:
        with self._lock:
            self._socket.sendall(json.dumps(what).encode() + b"\n")
            line = self._said.readline()
        if not line:
            raise RuntimeError("the nursery has ended")
        return json.loads(line)


_nurseries: dict[frozenset[tuple[str, str]], Nursery] = {}


@cache
def _mother() -> _Mother:
    return _Mother()


@cache
def bare() -> Nursery:
    """Of programs that each have settings of their own."""
    return Nursery(None)


def run_in_bare(
    argv: Sequence[str], environment: Mapping[str, str], seconds: float = 180.0
) -> subprocess.CompletedProcess[str]:
    """A program that ends by itself, as `subprocess.run` has it, `argv` without the name of Python."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        child = bare().born(argv, environment, output, errors)
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess([*argv], code, output.read_text(), errors.read_text())


def nursery(environment: Mapping[str, str]) -> Nursery:
    """That of this environment, which stays for the next test. The oldest that nobody needs makes room."""
    key = frozenset(item for item in environment.items() if item[0] not in CHANGES)
    if key not in _nurseries:
        spare = [other for other, old in _nurseries.items() if old.is_empty]
        for other in spare[: max(0, len(_nurseries) - KEPT + 1)]:
            _nurseries.pop(other).close()
        _nurseries[key] = Nursery(environment)
    return _nurseries[key]


def close_all() -> None:
    while _nurseries:
        _nurseries.popitem()[1].close()
    if bare.cache_info().currsize:
        bare().close()
    if _mother.cache_info().currsize:
        _mother().close()


# --- the processes ---------------------------------------------------------------------------------------------------


def main() -> None:
    """The mother, then in a child a nursery, then in a child of it a program."""
    os.dup2(2, 1)  # for whatever is said
    gc.disable()
    for name in OF_OTHERS:
        import_module(name)
    gc.enable()
    freeze()
    if born := bear_nurseries(socket.socket(fileno=os.dup(0))):
        be_nursery(born)


def bear_nurseries(asked: socket.socket) -> socket.socket | None:
    """Returns in a child, with that by which it is spoken to, or when all is over."""
    while given := socket.recv_fds(asked, 1, 1)[1]:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not os.fork():
            asked.close()
            os.close(0)
            return socket.socket(fileno=given[0])
        os.close(given[0])
    return None


def be_nursery(spoken_to: socket.socket) -> None:
    with spoken_to, spoken_to.makefile("rb") as questions, spoken_to.makefile("w") as answers:
        environment = json.loads(questions.readline())
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
            load()
        argv = serve(questions, answers)
    if argv:
        run(argv)


def load() -> None:
    import django
    from django.conf import settings
    from django.db import connections
    from django.utils.module_loading import import_string

    gc.disable()
    django.setup()
    for name in (settings.ROOT_URLCONF, *OURS):
        import_module(name)
    for name in settings.MIDDLEWARE:
        import_string(name)
    gc.enable()
    connections.close_all()
    freeze()


def freeze() -> None:
    """What is loaded is for all children, which share its memory as long as nobody looks for garbage in it."""
    assert threading.active_count() == 1, threading.enumerate()  # a child would not have the others
    gc.collect()
    gc.freeze()


def serve(questions: IO[bytes], answers: IO[str]) -> list[str]:
    """A request is a line of JSON, and so is its answer. Returns in a child, with what it is to run, or when all is over."""

    def say(what: object) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    alive: set[int] = set()
    say(None)
    for line in questions:
        asked = json.loads(line)
        if "pid" in asked:
            say(ended(asked["pid"], alive))
            continue
        pid = bear(asked["environment"], asked["logs"])
        if not pid:
            return [*asked["argv"]]
        alive.add(pid)
        say(pid)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    return []


def ended(pid: int, alive: set[int]) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    if not done:
        return None
    alive.remove(pid)
    return os.waitstatus_to_exitcode(status)


def bear(environment: dict[str, str], logs: list[str]) -> int:
    """0 in the child. In the parent its process id, once it leads a group that can be signalled."""
    told, tell = os.pipe()
    if pid := os.fork():
        os.close(tell)
        os.read(told, 1)
        os.close(told)
        return pid
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    opened = [nothing, *(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) for log in logs)]
    for own, descriptor in enumerate(opened):
        os.dup2(descriptor, own)
    os.environ.clear()
    os.environ.update(environment)
    os.write(tell, b".")
    for descriptor in (told, tell, *opened):
        os.close(descriptor)
    return 0


def run(argv: list[str]) -> None:
    """As `python ARGV` would."""
    if argv[0] == "-m":
        sys.argv = argv[1:]
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    elif argv[0] == "-c":
        sys.argv = [argv[0], *argv[2:]]
        exec(argv[1], {"__name__": "__main__"})
    else:
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
