from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from idp.processes import children
from tests.support.processes import ROOT, free_port
from tests.support.receiver import wait_until
from tests.support.stack import answers, clean_environment

Serve = Callable[..., Iterator[int]]


@contextmanager
def serving(folder: Path, *, threads: int = 4, head_within: int = 0) -> Iterator[int]:
    """The web server with an application that echoes; its port. `head_within`, in seconds, if not the product's."""
    port = free_port()
    argv = [sys.executable, "-m", "granian", "tests.support.echo:application", *children.web().argv[4:]]
    options = ["--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**clean_environment(), "CURFEW_DATA": str(folder), "CURFEW_WEB_THREADS": str(threads)}
    environment["DJANGO_SETTINGS_MODULE"] = "idp.settings"
    if head_within:
        options += ["--http1-header-read-timeout", str(head_within * 1000)]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [*argv, *options], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/livez"), 60, (folder / "web.log").read_text())
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its workers too, which would outlive it
        process.wait()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("serving")) as port:
        yield port
