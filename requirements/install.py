"""Installs a file of pinned packages into the environment that runs it, and says how far it is.

pip says nothing while it unpacks, which takes most of the time: we count what it has finished.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes", "-r"]
EVERY = 2.0  # seconds


def main(file: str) -> int:
    pinned = len(re.findall(r"^\S+==", Path(file).read_text(), re.MULTILINE))
    say(f"Preparing: installing the {pinned} pinned packages of {file}")
    counter = Counter()
    with subprocess.Popen([*PIP, file], stdout=subprocess.PIPE, text=True) as pip:
        assert pip.stdout
        for line in pip.stdout:
            if collected := re.match(r"Collecting (\S+)", line):
                say(f"  {collected[1]}")
            elif line.startswith("Installing collected packages: "):
                counter.start(line.count(",") + 1)
    counter.stop()
    return pip.returncode


class Counter:
    """Says how many packages are unpacked, whenever that has changed."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, wanted: int) -> None:
        self._thread = threading.Thread(target=self._run, args=(wanted, unpacked()))
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, wanted: int, before: int) -> None:
        said = -1
        while not self._done.wait(EVERY):
            now = unpacked() - before
            if now > said:
                say(f"  unpacking: {now} of {wanted}")
                said = now


def unpacked() -> int:
    """Packages in this environment: pip writes RECORD last."""
    return len(list(Path(sysconfig.get_path("purelib")).glob("*.dist-info/RECORD")))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
