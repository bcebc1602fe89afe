"""F-P05, F-S02: the disk of the database is full. Real processes, and a real file system without a free byte."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import requests
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from idp.models import Application
from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.models import SSOSession
from tests.faults.conftest import reconcile, wait_for_delivered
from tests.support.factories import make_application, make_session, make_user
from tests.support.processes import Installation, Program
from tests.support.receiver import Receiver, wait_until
from tests.support.small_disk import OnDisk, PostgresOnDisk, SmallDisk, SQLiteOnDisk, small_disk

pytestmark = pytest.mark.django_db(transaction=True)
OUT = "https://app.example/out"
APPLICATIONS = 20


@dataclass
class Site:
    disk: SmallDisk
    database: OnDisk
    installation: Installation
    applications: list[Application]
    web: Program
    worker: Program

    def session(self, **fields: object) -> SSOSession:
        return make_session(make_user(f"{timezone.now().timestamp()}@fabrikamcorp.com"), *self.applications, **fields)

    def get(self, path: str, session: SSOSession, **query: str) -> requests.Response:
        return requests.get(
            f"http://localhost:{self.installation.port}{path}",
            params=query,
            cookies={settings.SSO_COOKIE_NAME: session.raw_cookie},
            headers={"Accept": "text/html"},
            allow_redirects=False,
            timeout=20,
        )

    def sign_out(self, session: SSOSession) -> requests.Response:
        return self.get("/v2/logout", session, client_id=self.applications[0].client_id, returnTo=OUT)


@pytest.fixture
def site(tmp_path, redis, receiver) -> Iterator[Site]:
    with small_disk() as disk:
        database = SQLiteOnDisk(disk) if connection.vendor == "sqlite" else PostgresOnDisk(disk)
        try:
            with Installation(tmp_path, redis_url=redis[1], DATABASE_URL=database.url) as installation:
                installation.put_static_files()
                applications = [
                    make_application(
                        f"app{n}", backchannel_logout_uri=receiver.url(f"app{n}"), post_logout_redirect_uris=OUT
                    )
                    for n in range(APPLICATIONS)
                ]
                yield Site(disk, database, installation, applications, installation.web(), installation.worker())
        finally:
            database.stop()


def test_on_a_full_disk_nobody_is_signed_out_by_half_and_what_was_planned_is_delivered(site, receiver):
    ended = run_out_of_room_for_tables(site)
    if isinstance(site.database, PostgresOnDisk):
        run_out_of_room_for_the_write_ahead_log(site, site.database, receiver)
        ended += 4
    wait_for_delivered(APPLICATIONS * ended, 60)
    assert [program.process.poll() for program in (site.web, site.worker)] == [None, None]
    assert "logout.drain.crashed" not in site.worker.text
    reconcile(receiver, APPLICATIONS * ended)


def run_out_of_room_for_tables(site: Site) -> int:
    """Writes fail, each as a whole; reads go on. Returns how many sessions ended."""
    sessions = [site.session() for _ in range(40)]
    an_hour_ago = timezone.now() - timedelta(hours=1)
    idle = site.session(last_seen_at=an_hour_ago, idle_expires_at=an_hour_ago + timedelta(hours=72))
    site.database.fill_disk()
    answers = [site.sign_out(session) for session in sessions]  # the last pages have room for some

    refused = [session for session, answer in zip(sessions, answers, strict=True) if answer.status_code == 503]
    assert refused
    assert {answer.status_code for answer in answers} <= {302, 503}
    for session, answer in zip(sessions, answers, strict=True):
        session.refresh_from_db()
        assert (session.ended_at is None) == (session in refused)
        if session in refused:
            assert "you are not signed out" in answer.text
            assert answer.headers["Retry-After"]
            assert settings.SSO_COOKIE_NAME not in answer.cookies
    assert LogoutEvent.objects.count() == len(sessions) - len(refused)
    assert LogoutDelivery.objects.count() == APPLICATIONS * (len(sessions) - len(refused))
    assert [site.get("/", session).status_code for session in (*refused[:3], idle)] == [200] * 4

    site.disk.free()
    assert {site.sign_out(session).status_code for session in refused} == {302}
    wait_for_delivered(APPLICATIONS * len(sessions), 60)
    return len(sessions)


def run_out_of_room_for_the_write_ahead_log(site: Site, postgres: PostgresOnDisk, receiver: Receiver) -> None:
    """PostgreSQL panics, and cannot recover before there is room. Four sessions end: one before, three after."""
    receiver.behave(**{f"app{n}": "slow:1" for n in range(APPLICATIONS)})
    sessions = [site.session() for _ in range(4)]
    told = len(receiver.posts())
    assert site.sign_out(sessions[0]).status_code == 302
    wait_until(lambda: len(receiver.posts()) >= told + 5)
    site.database.fill_disk()
    with contextlib.suppress(OperationalError), connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT pg_logical_emit_message(true, 'fill', repeat('x', 1000000))")
    connection.close()
    wait_until(lambda: not postgres.is_running(), 30, "PostgreSQL lives on")
    refused = [site.sign_out(session) for session in sessions[1:]]
    assert {answer.status_code for answer in refused} == {503}
    assert not any(settings.SSO_COOKIE_NAME in answer.cookies for answer in refused)

    site.disk.free()
    postgres.start()
    assert SSOSession.objects.filter(pk__in=[session.pk for session in sessions], ended_at=None).count() == 3
    assert {site.sign_out(session).status_code for session in sessions[1:]} == {302}
