from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from idp.processes import children
from tests.support.nursery import nursery
from tests.support.processes import Program, free_port
from tests.support.receiver import wait_until
from tests.support.stack import answers, clean_environment

Serve = Callable[..., Iterator[int]]


@contextmanager
def serving(folder: Path, *, threads: int = 4, head_within: int = 0) -> Iterator[int]:
    """The web server with an application that echoes; its port. `head_within`, in seconds, if not the product's."""
    port = free_port()
    argv = ["-m", "granian", "tests.support.echo:application", *children.web().argv[4:]]
    options = ["--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    data = Path(os.environ["CURFEW_DATA"], "wire")  # for all of them: one nursery
    environment = {**clean_environment(), "CURFEW_DATA": str(data), "DJANGO_SETTINGS_MODULE": "idp.settings"}
    if head_within:
        options += ["--http1-header-read-timeout", str(head_within * 1000)]
    threaded = {**environment, "ECHO_THREADS": str(threads)}
    program = Program([*argv, *options], threaded, folder / "web.log", nursery(environment))
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/livez"), 60, program.log.name)
        yield port
    finally:
        program.kill()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("serving")) as port:
        yield port
