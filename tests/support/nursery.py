"""Curfew's programs as children of a process that has loaded their modules, which spares each the seconds of its imports.

A nursery has one environment, by which the settings were read. What is born leads a session of its own and goes on as
`python -m celery` or `python manage.py` does from its first line: connections, threads, identity and end are its own. That
programs begin with nothing is for whatever runs `manage.py up`, here and in tests/e2e, tests/rps and tests/unit.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
CHANGES = ("PYTEST_CURRENT_TEST", "DJANGO_ALLOW_ASYNC_UNSAFE")  # with every test, and no program reads them
KEPT = 3  # nurseries at a time, of some 150 MB each
LOADED = (
    *("idp.celery", "idp.tasks", "sessions_app.tasks", "logout_app.tasks"),
    *("logout_app.worker.process", "logout_app.worker.pool", "logout_app.worker.broker"),
    *("idp.http.serving.threads", "idp.http.serving.bodies", "idp.http.serving.environ"),
    *(
        "celery.bin.celery",
        "celery.apps.worker",
        "celery.apps.beat",
        "celery.worker.consumer",
        "celery.worker.strategy",
    ),
    *("granian.cli", "granian.server.mp", "granian.asgi", "uvloop"),
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


class Nursery:
    """The process, which has loaded everything when this returns. It ends with ours, and its children with it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        argv = [sys.executable, "-m", "tests.support.nursery"]
        self._process = subprocess.Popen(
            argv, cwd=ROOT, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._lock = threading.Lock()
        self._born: list[Born] = []
        self._answer()

    def born(self, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Born:
        """A program with its output in `log`; `environment` may differ in what is read after the settings."""
        pid = self._asked({"argv": [*argv], "environment": dict(environment), "log": str(log)})
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
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _asked(self, what: object) -> Any:
        assert self._process.stdin
        with self._lock:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
            return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the nursery has ended")
        return json.loads(line)


_nurseries: dict[frozenset[tuple[str, str]], Nursery] = {}


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


# --- the process -----------------------------------------------------------------------------------------------------


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # for whatever else is said
    load()
    if argv := serve(answers):
        answers.close()
        run(argv)


def load() -> None:
    import django
    from django.conf import settings
    from django.db import connections
    from django.utils.module_loading import import_string

    django.setup()
    for name in (settings.ROOT_URLCONF, *LOADED):
        import_module(name)
    for name in settings.MIDDLEWARE:
        import_string(name)
    connections.close_all()
    assert threading.active_count() == 1, threading.enumerate()  # a child would not have the others
    gc.collect()
    gc.freeze()


def serve(answers: IO[str]) -> list[str]:
    """A request is a line of JSON, and so is its answer. Returns in a child, with what it is to run, or when all is over."""

    def say(what: object) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    alive: set[int] = set()
    say(None)
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if "pid" in asked:
            say(ended(asked["pid"], alive))
            continue
        pid = bear(asked["environment"], asked["log"])
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


def bear(environment: dict[str, str], log: str) -> int:
    """0 in the child. In the parent its process id, once it leads a group that can be signalled."""
    told, tell = os.pipe()
    if pid := os.fork():
        os.close(tell)
        os.read(told, 1)
        os.close(told)
        return pid
    os.setsid()
    output, nothing = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), os.open(os.devnull, os.O_RDONLY)
    for descriptor, own in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, own)
    os.environ.clear()
    os.environ.update(environment)
    os.write(tell, b".")
    for descriptor in (told, tell, output, nothing):
        os.close(descriptor)
    return 0


def run(argv: list[str]) -> None:
    """As `python ARGV` would."""
    if argv[0] == "-m":
        sys.argv = argv[1:]
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
