"""What `manage.py up` does with its children, tried with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from idp.processes import children

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]
# It reads the settings, as the command has, but loads no application: a supervisor asks none.
PARENT = """
import sys
from idp.processes.children import Child, Supervisor
script = sys.argv[1]
child = Child("child", [sys.executable, "-c", script], {"FOLDER": sys.argv[2]})
Supervisor([child], lambda line: print(line, flush=True)).run(lambda: True, lambda: print("ready", flush=True))
"""
NOTE = "import os, pathlib, signal, sys, time; f = pathlib.Path(os.environ['FOLDER']); (f / str(os.getpid())).touch();"


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(script: str) -> subprocess.Popen[str]:
        env = os.environ | {"DJANGO_SETTINGS_MODULE": "idp.settings", "CURFEW_DATA": str(tmp_path / "data")}
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, NOTE + script, str(tmp_path)],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(parent)
        return parent

    yield start
    for parent in started:
        parent.kill()
        parent.wait()


def pids(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_parent_ends_the_children(supervise, tmp_path: Path, number: signal.Signals) -> None:
    parent = supervise("time.sleep(60)")
    assert eventually(lambda: len(pids(tmp_path)) == 1)
    parent.send_signal(number)
    assert parent.wait(15) == 0
    assert not lives(pids(tmp_path)[0])


def test_a_child_that_dies_is_started_again(supervise, tmp_path: Path) -> None:
    parent = supervise("time.sleep(60)")
    assert eventually(lambda: len(pids(tmp_path)) == 1)
    os.kill(pids(tmp_path)[0], signal.SIGKILL)
    assert eventually(lambda: len(pids(tmp_path)) == 2)
    parent.send_signal(signal.SIGTERM)
    output = parent.communicate(timeout=15)[0]
    assert "child ended with code -9; starting it again in 0.5 s." in output


def test_the_pause_between_restarts_grows(supervise, tmp_path: Path) -> None:
    parent = supervise("sys.exit(3)")
    assert eventually(lambda: len(pids(tmp_path)) == 3)
    parent.send_signal(signal.SIGTERM)
    output = parent.communicate(timeout=15)[0]
    assert "starting it again in 0.5 s." in output
    assert "starting it again in 1 s." in output


def test_children_end_when_the_parent_is_killed(supervise, tmp_path: Path) -> None:
    parent = supervise("time.sleep(60)")
    assert eventually(lambda: len(pids(tmp_path)) == 1)
    parent.kill()
    assert eventually(lambda: not lives(pids(tmp_path)[0]))


def test_a_child_that_does_not_stop_is_killed_with_all_that_it_started(supervise, tmp_path: Path) -> None:
    parent = supervise(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);pid = os.fork();(f / str(os.getpid())).touch();time.sleep(60)"
    )
    assert eventually(lambda: len(pids(tmp_path)) == 2)
    parent.send_signal(signal.SIGTERM)
    output = parent.communicate(timeout=20)[0]
    assert "child did not stop within 10 s: killed." in output
    assert eventually(lambda: not any(lives(pid) for pid in pids(tmp_path)))


def test_a_data_folder_belongs_to_one(tmp_path: Path) -> None:
    first = children.hold_alone(tmp_path / "data" / "up.lock")
    assert first is not None
    assert children.hold_alone(tmp_path / "data" / "up.lock") is None
    first.close()
    again = children.hold_alone(tmp_path / "data" / "up.lock")
    assert again is not None
    again.close()
