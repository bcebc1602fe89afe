"""/livez, /readyz and /metrics."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta

import pytest
import redis
import structlog
from django.conf import settings
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.connections.checks import Finding
from idp.models import Connection, ConnectionCheck
from idp.operations import checks, logs
from idp.processes.probe import Probe
from idp.redis import health as redis_health
from logout_app.delivery import metrics, readiness, reports, tallies
from logout_app.models import DeliveryState, DrainReport, LogoutDelivery
from tests.delivery.conftest import running, sign_in, sign_out
from tests.support.receiver import wait_until
from tests.support.servers import start_redis

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    """Answers are good for a second, which is longer than some of these tests take."""
    monkeypatch.setattr(readiness.database, "_until", -1.0)
    monkeypatch.setattr(readiness.redis, "_until", -1.0)


def test_a_healthy_installation_is_ready():
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert Client().get("/livez").json() == {"status": "ok"}
    assert Client().post("/readyz").status_code == 405


def test_an_old_backlog_degrades_but_keeps_the_web_servers(application):
    sign_out(sign_in(application()), at=timezone.now() - timedelta(minutes=5))
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    waits = re.search(r"waits for (\d+) s", answer.json()["backlog"])
    assert waits
    assert 300 <= int(waits[1]) < 330


def test_a_worker_that_is_silent_degrades_and_one_that_reports_does_not():
    """Its words are of the database's clock."""
    reports.tell("host:1", held=0, stuck_for=None, reason="")
    assert Client().get("/readyz").json()["drain"] == "ok"
    assert "curfew_drain_workers 1.0" in Client().get("/metrics").content.decode()
    DrainReport.objects.update(seen_at=timezone.now() - timedelta(seconds=50))
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert re.fullmatch(r"no worker has reported for (49|50|51|52) s", answer.json()["drain"])
    assert "curfew_drain_workers 0.0" in Client().get("/metrics").content.decode()


def test_a_worker_that_cannot_record_degrades():
    reports.tell("host:1", held=0, stuck_for=None, reason="")
    reports.tell("host:2", held=100, stuck_for=45.0, reason="OperationalError: lock timeout")
    assert Client().get("/readyz").json()["drain"] == "results cannot be recorded for 45 s (100 wait)"
    reports.tell("host:2", held=0, stuck_for=None, reason="")
    assert Client().get("/readyz").json()["drain"] == "ok"


def test_tasks_that_do_not_run_degrade_although_workers_report():
    """A queue that stands still, or a beat that is gone; one worker that runs them is enough."""
    reports.tell("host:1", held=0, stuck_for=None, reason="", idle_for=None)  # a worker of the release before
    assert Client().get("/readyz").json()["tasks"] == "ok"
    assert "curfew_task_last_run_seconds" not in Client().get("/metrics").content.decode()
    reports.tell("host:1", held=0, stuck_for=None, reason="", idle_for=181.0)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["tasks"] == "no scheduled task ran for 181 s"
    assert "curfew_task_last_run_seconds 181.0" in Client().get("/metrics").content.decode()
    reports.tell("host:2", held=0, stuck_for=None, reason="", idle_for=4.0)
    assert Client().get("/readyz").json()["tasks"] == "ok"
    assert "curfew_task_last_run_seconds 4.0" in Client().get("/metrics").content.decode()


def test_tasks_of_workers_that_are_gone_are_the_drains_matter():
    reports.tell("host:1", held=0, stuck_for=None, reason="", idle_for=500.0)
    DrainReport.objects.update(seen_at=timezone.now() - timedelta(seconds=50))
    answer = Client().get("/readyz").json()
    assert "no worker has reported" in answer["drain"]
    assert answer["tasks"] == "ok"


def test_workers_that_ended_long_ago_are_forgotten():
    reports.tell("host:1", held=0, stuck_for=None, reason="")
    reports.tell("host:2", held=0, stuck_for=None, reason="")
    DrainReport.objects.filter(name="host:1").update(seen_at=timezone.now() - timedelta(days=2))
    reports.forget()
    assert list(DrainReport.objects.values_list("name", flat=True)) == ["host:2"]


def test_metrics_name_the_applications_that_have_the_largest_backlog_and_no_others(application, monkeypatch):
    monkeypatch.setattr(metrics, "MOST_APPLICATIONS", 2)
    one, two, three = (application(name) for name in ("one", "two", "three"))
    application("idle")
    sign_out(sign_in(one, two, three), sign_in(one, two), at=timezone.now() - timedelta(minutes=1))
    text = Client().get("/metrics").content.decode()
    pending = re.findall(r'curfew_logout_application_pending{client_id="(\w+)"} (\d+)', text)
    assert pending == [("one", "2"), ("two", "2")]
    assert re.search(r'curfew_logout_application_oldest_seconds{client_id="one"} 6\d\.', text)


def test_metrics_name_connections_that_fail_or_whose_certificate_expires():
    fails, expires = (Connection.objects.create(name=name, strategy="auth0") for name in ("Fails", "Expires"))
    now = timezone.now()
    ConnectionCheck.objects.create(connection=fails, checked_at=now, findings=[asdict(Finding("error", "no"))] * 2)
    ConnectionCheck.objects.create(
        connection=expires, checked_at=now, findings=[asdict(Finding("warning", "soon", expires=True))]
    )
    text = Client().get("/metrics").content.decode()
    found = re.findall(r'curfew_connection_problems{connection="(\w+)",kind="(\w+)"} (\d)', text)
    assert found == [("Expires", "expires", "1"), ("Fails", "fails", "2")]


def test_a_redis_that_is_gone_degrades_only(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["redis"]) == (200, "unavailable")


def test_a_read_only_database_is_not_ready_and_the_next_connection_is_asked_anew(monkeypatch):
    """14.D2: reads go on there, so that only a write tells."""
    with connection.cursor() as cursor:
        on_sqlite = connection.vendor == "sqlite"
        cursor.execute("PRAGMA query_only = 1" if on_sqlite else "SET default_transaction_read_only = on")
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, "read-only")
    monkeypatch.setattr(readiness.database, "_until", -1.0)
    assert Client().get("/readyz").status_code == 200  # over a connection that may write


@pytest.mark.postgresql
def test_an_index_that_is_made_on_the_probes_table_takes_no_server_away():
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {tallies.TABLE} IN SHARE MODE")
            with connection.cursor() as ours:
                ours.execute("SET lock_timeout = 100")
            assert Client().get("/readyz").status_code == 200
    finally:
        other.close()
        connection.close()


def test_many_probes_write_once_a_second():
    Client().get("/readyz")
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            Client().get("/readyz")
    assert sum(query["sql"].startswith("UPDATE") for query in queries) <= 1


def test_a_probe_does_not_wait_for_another_one():
    """A load balancer that asks every second must not stop a server whose database is slow."""
    asked, over = threading.Event(), threading.Event()

    def slow() -> str:
        asked.set()
        return "late" if over.wait(10) else ""

    probe = Probe(slow)
    probe._until = 0.0  # asked before, with a good answer
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(probe)
        assert asked.wait(10)
        assert probe() == ""  # what is known from before
        over.set()
        assert first.result() == "late"


@pytest.mark.once
def test_a_redis_without_memory_degrades_although_it_answers(settings, redis_of_its_own):
    """C4: PING is answered, PUBLISH too; what is written is refused."""
    settings.REDIS_URL = redis_of_its_own
    redis.Redis.from_url(redis_of_its_own).config_set("maxmemory", 1)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["redis"]) == (200, "out of memory")


@pytest.mark.once
def test_a_redis_that_may_throw_keys_away_is_named_before_production(settings, redis_of_its_own):
    """C5: `allkeys-lru` deletes the cache's limits, used codes and what waits in the queue, without an error."""
    settings.REDIS_URL = redis_of_its_own
    client = redis.Redis.from_url(redis_of_its_own)
    assert not eviction_messages()
    client.config_set("maxmemory-policy", "allkeys-lru")
    with structlog.testing.capture_logs() as lines:
        redis_health.warn_of_eviction()
    assert [(line["event"], line["policy"]) for line in lines] == [("redis.may_evict", "allkeys-lru")]
    assert eviction_messages() == ["idp.E051"]


@pytest.mark.once
def test_a_redis_that_does_not_tell_its_policy_is_no_error(settings, redis_of_its_own):
    """Managed ones forbid CONFIG, some INFO too."""
    client = redis.Redis.from_url(redis_of_its_own)
    client.execute_command("ACL", "SETUSER", "managed", "on", ">secret", "~*", "+@all", "-config")
    client.config_set("maxmemory-policy", "volatile-lru")
    settings.REDIS_URL = redis_of_its_own.replace("//", "//managed:secret@")
    assert eviction_messages() == ["idp.E051"]  # INFO tells
    client.execute_command("ACL", "SETUSER", "managed", "-info")
    assert eviction_messages() == ["idp.I051"]
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert eviction_messages() == ["idp.I052"]


def eviction_messages() -> list[str | None]:
    return [message.id for message in checks._eviction(settings.REDIS_URL)]


@pytest.fixture
def redis_of_its_own(tmp_path):
    process, url = start_redis(tmp_path / "redis")
    yield url
    process.kill()
    process.wait()


def test_without_the_sealing_key_no_request_is_let_in(settings):
    assert Client().get("/readyz").status_code == 200  # makes the signing keys
    from idp.tenants import configuration

    configuration.bump()
    settings.ENCRYPTION_KEYS = ["an entirely different key of sufficient length 0123456789"]
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["keys"]) == (503, "unavailable")


def test_metrics_count_what_the_workers_did(application, receiver):
    receiver.behave(bad="400")
    session = sign_in(application("good"), application("bad"))
    with running():
        sign_out(session)
        wait_until(lambda: LogoutDelivery.objects.exclude(state=DeliveryState.PENDING).count() == 2)
    text = Client().get("/metrics").content.decode()
    assert 'curfew_logout_attempts_total{channel="backchannel",outcome="delivered"} 1.0' in text
    assert 'curfew_logout_deliveries_total{channel="backchannel",state="dead"} 1.0' in text
    assert "curfew_logout_oldest_due_seconds 0.0" in text
    assert "curfew_logout_told_seconds_count 1.0" in text
    assert 'curfew_logout_told_seconds_bucket{le="+Inf"} 1.0' in text


def test_metrics_count_log_lines_that_were_lost(monkeypatch):
    """F-L01."""
    monkeypatch.setattr(logs, "take_lost", lambda: 7)
    Client().get("/metrics")
    assert "curfew_log_lines_lost_total 14.0" in Client().get("/metrics").content.decode()


def test_metrics_are_for_loopback_or_for_the_token(settings):
    assert Client(REMOTE_ADDR="203.0.113.9").get("/metrics").status_code == 401
    assert Client(headers={"X-Forwarded-For": "203.0.113.9"}).get("/metrics").status_code == 401
    settings.METRICS_TOKEN = "let-me-see"
    assert Client().get("/metrics").status_code == 401
    assert Client(headers={"Authorization": "Bearer let-me-see"}).get("/metrics").status_code == 200
