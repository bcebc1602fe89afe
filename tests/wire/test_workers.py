"""Several processes behind one port: one that dies is replaced, and all end with the one that keeps them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support.receiver import wait_until
from tests.support.stack import answers
from tests.support.wire import ask, get
from tests.wire.conftest import serving

HOST = b"Host: localhost"


def pids(port: int) -> set[str]:
    return {ask(port, get("/", HOST)).json()["pid"] for _ in range(40)}


def test_a_worker_that_dies_is_replaced_and_the_other_serves_meanwhile(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as port:
        seen: set[str] = set()
        wait_until(lambda: len(seen.update(pids(port)) or seen) == 2, 30, "only one worker serves")
        victim = seen.pop()
        os.kill(int(victim), signal.SIGKILL)
        assert ask(port, get("/livez", HOST)).status == 200
        wait_until(lambda: pids(port) - seen - {victim} != set(), 60, "nobody took its place")
    assert not answers(f"http://127.0.0.1:{port}/livez")


def test_workers_end_with_a_process_that_kept_them_and_was_killed(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as port:
        parent = int(ask(port, get("/", HOST)).json()["parent"])
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: not answers(f"http://127.0.0.1:{port}/livez"), 30, "workers outlived their keeper")
