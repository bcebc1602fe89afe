"""/livez, /readyz and /metrics."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from idp import logs
from logout_app import metrics, reports
from logout_app.models import DeliveryState, DrainReport, LogoutDelivery
from tests.delivery.conftest import running, sign_in, sign_out
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_a_redis_that_is_gone_degrades_only(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["redis"]) == (200, "unavailable")


def test_without_the_sealing_key_no_request_is_let_in(settings):
    assert Client().get("/readyz").status_code == 200  # makes the signing keys
    from idp import configuration

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
