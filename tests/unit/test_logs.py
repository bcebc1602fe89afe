"""F-L01: a log that nobody reads stops nothing; what is lost is counted."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from idp.operations.logs import StderrHandler


@contextmanager
def logger_to(descriptor: int, waiting: int) -> Iterator[tuple[logging.Logger, StderrHandler]]:
    handler = StderrHandler(descriptor, waiting)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    yield logger, handler


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, writing
    os.close(reading)


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    with logger_to(pipe[1], 100) as (logger, handler):
        for number in range(50):
            logger.warning("line %d", number)
        handler.flush()
    assert os.read(pipe[0], 4096).decode().split("\n") == [*(f"line {number}" for number in range(50)), ""]


def test_a_full_pipe_blocks_nobody_and_says_afterwards_what_was_lost(pipe: tuple[int, int]) -> None:
    with logger_to(pipe[1], 100) as (logger, handler):
        begun = time.monotonic()
        for number in range(10_000):
            logger.warning("line %d of a log that nobody reads", number)
        assert time.monotonic() - begun < 2
        lost = handler.take_lost()
        assert lost > 9000
        assert handler.take_lost() == 0
        arrived = b""
        while sum(map(int, re.findall(rb'"lines": (\d+)}\n', arrived))) < lost:
            arrived += os.read(pipe[0], 65536)
        logger.warning("again")
        handler.flush()
        assert os.read(pipe[0], 65536) == b"again\n"


def test_a_full_disk_costs_lines_only() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with logger_to(full, 100) as (logger, handler):
        for _ in range(20):
            logger.warning("no space left")
        handler.flush()
        assert handler.take_lost() == 20


# What `django.setup()` does for logs, without the seconds of CPU in which it loads applications.
SET_UP = """
from django.conf import settings
from django.utils.log import configure_logging
configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
"""
SAY = """
import logging, os, sys
logging.getLogger("tests").warning("from the parent")
if child := os.fork():
    os.waitpid(child, 0)
else:
    logging.getLogger("tests").warning("from the child")
    logging.shutdown()
    os._exit(0)
"""


def test_the_last_lines_are_written_also_after_a_fork() -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "idp.settings"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", SET_UP + SAY],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    events = {json.loads(line)["event"] for line in done.stderr.splitlines()}
    assert events == {"from the parent", "from the child"}


def test_a_process_whose_stderr_is_blocked_still_ends(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    os.write(pipe[1], b"x" * 4096)
    os.set_blocking(pipe[1], True)
    code = "import logging; logging.getLogger('tests').warning('unheard')"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "idp.settings"}
    done = subprocess.run(
        [sys.executable, "-c", SET_UP + code], env=environment, stderr=pipe[1], timeout=60, check=False
    )
    assert done.returncode == 0
