from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import ROOT, free_port
from tests.support.receiver import wait_until
from tests.support.stack import answers, clean_environment

Serve = Callable[..., Iterator[int]]


@contextmanager
def serving(folder: Path, *, threads: int = 4, files: int = 0, workers: int = 1) -> Iterator[int]:
    """The web server with an application that echoes; its port. `files` is how many it may open."""
    port = free_port()
    argv = [sys.executable, "-m", "idp.serving", "--application", "tests.support.echo.application"]
    options = ["--workers", str(workers), "--threads", str(threads), "--host", "127.0.0.1", "--port", str(port)]
    environment = {**clean_environment(), "CURFEW_DATA": str(folder)}
    limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [*argv, *options], cwd=ROOT, env=environment, stdout=log, stderr=log, preexec_fn=limit
        )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/livez"), 60, (folder / "web.log").read_text())
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("serving")) as port:
        yield port
