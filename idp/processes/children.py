"""Child processes that are kept alive: what `manage.py up` starts, and how it ends them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from django.conf import settings

from idp.http.serving.limits import HEAD_WITHIN, MOST_CONNECTIONS

KILL_AFTER = 10.0  # seconds; an idle Celery worker needs five to stop
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between restarts
STEADY = 60.0  # seconds that a child must live for its next pause to be the first again
TICK = 0.1
_PR_SET_PDEATHSIG = 1
# HTTP/1 as proxies speak it upstream, and no variable of the environment switches on a log with secrets in paths.
INTERFACE = (*("--interface", "asginl", "--http", "1"), *("--loop", "uvloop"), "--no-ws", "--no-access-log")
SERVED = ("idp.http.serving.application:application", *INTERFACE)


@dataclass(frozen=True, slots=True)
class Child:
    """A program to keep running; `env` is added to our own environment."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)


def web() -> Child:
    """Granian finishes running requests after SIGTERM and kills what is left after ten seconds."""
    options = {
        "host": settings.BIND,
        "port": settings.PORT,
        "workers": settings.WEB_WORKERS,
        "workers-kill-timeout": 10,
        "http1-header-read-timeout": int(HEAD_WITHIN * 1000),
        "backpressure": MOST_CONNECTIONS,
        "log-level": "warning",
    }
    named = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return Child("web", [sys.executable, "-m", "granian", *SERVED, *named, "--respawn-failed-workers"])


def worker() -> Child:
    """The delivery worker; gossip and mingle look for other workers, which costs a second at the start."""
    options = ("--without-gossip", "--without-mingle", "--loglevel", settings.LOG_LEVEL)
    return Child("worker", [sys.executable, "-m", "celery", "--quiet", "-A", "idp", "worker", *options])


def beat() -> Child:
    return Child("beat", [sys.executable, "-m", "celery", "--quiet", "-A", "idp", "beat", "--loglevel", "WARNING"])


class Running:
    """One child and its restarts. It leads a session of its own, so that Ctrl-C reaches it through us only."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.pause = FIRST_PAUSE
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.start_at: float | None = 0.0

    def tick(self, now: float, say: Callable[[str], None]) -> None:
        """Start the child when it is due; note its end and when to start it again."""
        if self.process is None:
            if self.start_at is not None and now >= self.start_at:
                self.started = now
                self.process = _spawn(self.child)
            return
        if self.process.poll() is None:
            return
        if now - self.started > STEADY:
            self.pause = FIRST_PAUSE
        say(f"{self.child.name} ended with code {self.process.returncode}; starting it again in {self.pause:g} s.")
        self.process, self.start_at = None, now + self.pause
        self.pause = min(self.pause * 2, LONGEST_PAUSE)

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill_group(self) -> None:
        """End the child and everything that it started."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # the whole group is gone
        self.process.wait()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Keeps children running until SIGTERM, SIGINT or SIGHUP; then ends them all, at the latest after KILL_AFTER."""

    def __init__(self, children: Sequence[Child], say: Callable[[str], None]) -> None:
        self.running = [Running(child) for child in children]
        self.say = say
        self.stop = threading.Event()

    def run(self, ready: Callable[[], bool], when_ready: Callable[[], None]) -> None:
        """Block until told to stop. `when_ready` is called once, as soon as `ready` says so."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        announced = False
        try:
            while not self.stop.is_set():
                now = time.monotonic()
                for one in self.running:
                    one.tick(now, self.say)
                if not announced and ready():
                    announced = True
                    when_ready()
                self.stop.wait(TICK)
        finally:
            self._end()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop.set()

    def _end(self) -> None:
        self.say("Stopping.")
        for one in self.running:
            one.signal(signal.SIGTERM)
        deadline = time.monotonic() + KILL_AFTER
        while time.monotonic() < deadline and any(one.alive() for one in self.running):
            time.sleep(TICK)
        for one in self.running:
            if one.alive():
                self.say(f"{one.child.name} did not stop within {KILL_AFTER:g} s: killed.")
            one.kill_group()


def _spawn(child: Child) -> subprocess.Popen[bytes]:
    parent = os.getpid()

    def die_with_parent() -> None:
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it ended before the line above
                os.kill(os.getpid(), signal.SIGTERM)

    # A wheel's modules are found from everywhere, and paths of its settings may be relative to where we are.
    ours = {"CURFEW_DATA": str(settings.DATA)} | ({} if settings.IS_CHECKOUT else {"PYTHONSAFEPATH": "1"})
    return subprocess.Popen(  # noqa: S603  our own programs
        child.argv,
        env=os.environ | ours | child.env,
        cwd=settings.BASE_DIR if settings.IS_CHECKOUT else None,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


def hold_alone(path: Path) -> IO[str] | None:
    """An exclusive lock that ends with this process, or None when another process has it."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextlib.contextmanager
def alone(path: Path, when_waiting: Callable[[], None]) -> Iterator[None]:
    """The same lock, waited for. `when_waiting` is called if that takes time."""
    import fcntl

    lock = hold_alone(path)
    if lock is None:
        when_waiting()
        lock = path.open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        yield


# Loaded here, because a forked child may not import; Linux only.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
