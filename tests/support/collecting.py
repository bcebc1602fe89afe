"""What every worker would do again before its first test is done once for all of them, or made cheap. Loaded with `-p`.

Half of what it takes to collect 10,000 tests is that pytest rewrites each `assert`: in a fresh clone all workers would, at the
same time. So whoever deals the tests leaves every module compiled, those of the product too, for the programs that tests
start. Each of those would compile them anew where PYTHONDONTWRITEBYTECODE is set.
"""

from __future__ import annotations

import compileall
import gc
import multiprocessing
import os
import re
from collections.abc import Generator
from importlib import import_module
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from _pytest.assertion.rewrite import assertstate_key

ROOT = Path(__file__).parents[2]
FOLDERS = ("idp", "sessions_app", "logout_app", "tests")
REWRITTEN = re.compile(r"(test_\w+|conftest)\.py")
# To find the words beside a field pydantic looks through all modules that are loaded, for each of their classes: beside few
# others that takes half a second, and late three.
FIRST = ("scim2_client", "scim2_server.handler")

_config: list[pytest.Config] = []


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        for name in FIRST:
            import_module(name)


def pytest_sessionstart(session: pytest.Session) -> None:
    """xdist's own, which starts the workers, comes last."""
    if session.config.getoption("tx", None) and "PYTEST_XDIST_WORKER" not in os.environ:
        files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
        with multiprocessing.get_context("fork").Pool(initializer=_config.append, initargs=(session.config,)) as pool:
            pool.map(_leave_compiled, files, chunksize=16)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays until the end: nothing of it is garbage to look for, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _leave_compiled(file: Path) -> None:
    if REWRITTEN.fullmatch(file.name):
        rewrite_once(file, _config[0])
    else:
        compileall.compile_file(str(file), quiet=2)


def rewrite_once(file: Path, config: pytest.Config) -> Path:
    """As pytest's import hook does; where it will look for what is kept."""
    kept = rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"
    if rewrite._read_pyc(file, kept) is None and rewrite.try_makedirs(kept.parent):
        source, code = rewrite._rewrite_test(file, config)
        rewrite._write_pyc(config.stash[assertstate_key], code, source, kept)
    return kept
