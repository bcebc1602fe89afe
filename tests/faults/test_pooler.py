"""PgBouncer between Curfew and PostgreSQL, which gives connections out by transaction, as docs/operations.md tells to set it up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection

from sessions_app.models import SSOSession
from tests.delivery.conftest import sign_in
from tests.faults.conftest import leave, reconcile, wait_for_delivered
from tests.support.processes import Installation, free_port
from tests.support.receiver import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
PEOPLE = 24
CONFIGURATION = """
[databases]
* = host={host} port={server_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
server_idle_timeout = 2
ignore_startup_parameters = extra_float_digits
"""


@pytest.fixture
def pooler(tmp_path: Path) -> Iterator[str]:
    """Its DATABASE_URL: three connections for all programs together."""
    ours, port = connection.settings_dict, free_port()
    file = Path(os.environ["TEST_FOLDER"], f"pgbouncer-{port}.ini")  # readable for somebody who is not root
    facts = {"host": ours["HOST"], "server_port": ours["PORT"] or 5432, "port": port}
    file.write_text(CONFIGURATION.format(**facts))
    somebody = ["-u", Path(ours["HOST"]).owner()] if os.geteuid() == 0 else []  # as the server, whose socket is its own
    with (tmp_path / "pgbouncer.log").open("w") as log:
        running = subprocess.Popen(["/usr/sbin/pgbouncer", "-q", *somebody, str(file)], stdout=log, stderr=log)
    yield f"postgres://postgres@127.0.0.1:{port}/{ours['NAME']}?prepare_threshold=None"
    running.terminate()
    running.wait(10)


def test_people_sign_out_and_applications_are_told_through_it(pooler, tmp_path, application, receiver) -> None:
    app = application()
    sessions = [sign_in(app) for _ in range(PEOPLE)]
    settings = {"DATABASE_URL": pooler, "CURFEW_DATABASE_SESSION_SETTINGS": "0"}
    with Installation(tmp_path, **settings) as installation:
        installation.put_static_files()
        web, worker = installation.web(), installation.worker()
        address = f"http://localhost:{installation.port}"

        def go(session: SSOSession) -> int:
            return leave(address, session.raw_cookie, app.client_id, app.post_logout_redirect_uris).status_code

        with ThreadPoolExecutor(8) as people:
            assert set(people.map(go, sessions)) <= {302, 303}
        wait_for_delivered(PEOPLE)
        reconcile(receiver, PEOPLE)
        assert not SSOSession.objects.filter(ended_at=None).exists()
        wait_until(
            lambda: connections() <= 3 + 1,
            15,  # and the test's own
            "more connections than it was given",
        )
        for program in (web, worker):
            assert "prepared statement" not in program.text
            assert "Traceback" not in program.text


def connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
