"""Signing out at a real web process while Redis or PostgreSQL is gone: at once and kept, or refused and said so."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import requests
import yaml
from django.conf import settings

from logout_app.models import LogoutDelivery
from tests.faults.conftest import leave, reconcile, wait_for_delivered
from tests.protocol.conformance.parties import Browser, Page, sign_in
from tests.rps.running import MARY, tenant_of
from tests.support import template
from tests.support.factories import make_application, make_session, make_user
from tests.support.processes import Installation

OUT = "https://app.example/out"


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", ["refused", "hung"])
def test_without_redis_a_sign_out_is_as_fast_and_nothing_is_lost(installation, redis, receiver, fault):
    process, _ = redis
    app = make_application("App", backchannel_logout_uri=receiver.url("app"), post_logout_redirect_uris=OUT)
    session = make_session(make_user(), app)
    installation.web()
    address = f"http://localhost:{installation.port}"
    requests.get(f"{address}/login", timeout=20)  # whatever is loaded once is loaded
    process.send_signal(signal.SIGSTOP if fault == "hung" else signal.SIGKILL)

    began = time.monotonic()
    answer = leave(address, session.raw_cookie, app.client_id, OUT)
    assert time.monotonic() - began < 1
    assert (answer.status_code, answer.headers["Location"]) == (302, OUT)
    session.refresh_from_db()
    assert session.ended_at is not None
    assert LogoutDelivery.objects.get().state == "pending"

    if fault == "hung":
        process.send_signal(signal.SIGCONT)
        again = None
    else:
        again = subprocess.Popen([*process.args], stdout=subprocess.DEVNULL)
    try:
        installation.worker()
        wait_for_delivered(1)
        reconcile(receiver, 1)
    finally:
        if again:
            again.kill()
            again.wait()


@contextmanager
def database_of_its_own(name: str) -> Iterator[tuple[str, Callable[[bool], None]]]:
    """A database beside that of the other tests: its URL, and what opens and closes its doors."""
    address = os.environ["TEST_POSTGRES_URL"].rpartition("/")[0]
    folder = address.removeprefix("postgres://postgres@/")
    with psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")

        def let_in(allowed: bool) -> None:
            connection.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {allowed}")
            if not allowed:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

        yield f"{address}/{name}", let_in
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.postgresql
@pytest.mark.django_db
def test_without_postgresql_nobody_is_told_that_they_are_signed_out(tmp_path):
    with (
        database_of_its_own("curfew_refused") as (url, let_in),
        Installation(tmp_path / "own", DATABASE_URL=url, CURFEW_DEMO="0") as installation,
    ):
        template.begin_postgres("curfew_refused")
        browser = signed_in(installation)
        let_in(False)
        for _ in range(2):
            page = browser.open(f"{browser.issuer}v2/logout")
            assert isinstance(page, Page)
            assert page.status == 503
            assert "you are not signed out" in page.text
            assert settings.SSO_COOKIE_NAME in browser.http.cookies

        let_in(True)
        assert MARY in home(browser).text
        browser.open(f"{browser.issuer}v2/logout")
        assert settings.SSO_COOKIE_NAME not in browser.http.cookies


@pytest.mark.sqlite
def test_without_its_file_nobody_is_told_that_they_are_signed_out(tmp_path):
    """F-S02: deleted while it is open. Moved back, it is the database again."""
    file = tmp_path / "own.sqlite3"
    template.begin_sqlite(file)
    with Installation(tmp_path / "own", DATABASE_URL=f"sqlite:///{file}", CURFEW_DEMO="0") as installation:
        browser = signed_in(installation)
        moved = file.rename(tmp_path / "moved.sqlite3")
        for _ in range(6):  # every thread's connection
            page = browser.open(f"{browser.issuer}v2/logout")
            assert isinstance(page, Page)
            assert page.status == 503
            assert settings.SSO_COOKIE_NAME in browser.http.cookies
        assert not file.exists()

        moved.rename(file)
        assert MARY in home(browser).text
        browser.open(f"{browser.issuer}v2/logout")
        assert settings.SSO_COOKIE_NAME not in browser.http.cookies


def signed_in(installation: Installation) -> Browser:
    """A web server with a database of its own is made ready, and somebody signs in."""
    template.begin_files(Path(installation.environment["CURFEW_DATA"]))
    tenant = installation.folder / "tenant.yaml"
    tenant.write_text(yaml.safe_dump(tenant_of()))
    for command in (["up", "--prepare-only"], ["apply", str(tenant)]):
        program = installation.start("prepare", ["manage.py", *command])
        assert program.process.wait(120) == 0, program.text
    installation.web()
    browser = Browser(installation.environment["ISSUER"])
    sign_in(browser, browser.open(f"{browser.issuer}login"))
    assert MARY in home(browser).text
    return browser


def home(browser: Browser) -> Page:
    page = browser.open(browser.issuer)
    assert isinstance(page, Page)
    return page
