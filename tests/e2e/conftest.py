"""One Curfew with its demo for all browser tests: in one process tree on SQLite, or split on PostgreSQL and Redis."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page

from tests.support import template
from tests.support.chromium import chromium, new_page
from tests.support.servers import start_redis, stop
from tests.support.stack import Stack, embedded, split


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="curfew-e2e-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(folder: Path, django_db_blocker: Any) -> Iterator[Stack]:
    if os.environ.get("TEST_DATABASE") != "postgres":
        with embedded(folder / "data") as running:
            yield running
        return
    process, redis_url = start_redis(folder / "redis")
    try:
        with django_db_blocker.unblock():
            database_url = own_database()
        with split(folder / "data", database_url, redis_url) as running:
            yield running
    finally:
        stop(process)


def own_database() -> str:
    """A database beside that of the other tests, on the same server."""
    server = os.environ["TEST_POSTGRES_URL"]
    address, _, _ = server.rpartition("/")
    folder = address.removeprefix("postgres://postgres@/")
    with psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS curfew_e2e")
        connection.execute("CREATE DATABASE curfew_e2e")
    template.begin_postgres("curfew_e2e")
    return f"{address}/curfew_e2e"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with new_page(browser) as fresh:
        yield fresh


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the processes said."""
    report = yield
    running = getattr(item, "funcargs", {}).get("stack")
    if report.failed and running is not None:
        report.sections.append(("what Curfew said", running.log()))
    return report
