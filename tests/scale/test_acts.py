"""bench/acts.py, whose figures docs/capacity.md is made of, still does what it measures. How fast is not asked here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from bench import acts, population
from idp.models import TenantSettings

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


@pytest.fixture
def _one_transaction() -> Iterator[None]:
    """As Django's own client does: a request leaves the connection, in whose transaction the test is."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("_one_transaction")
def test_every_hot_act_runs_and_is_measured(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setenv("PORT", "8000")
    monkeypatch.setattr(acts, "SAMPLE", 10)
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ISSUER, settings.ISSUER_ORIGIN = "http://127.0.0.1:8000/", "http://127.0.0.1:8000"
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    TenantSettings.objects.all().delete()
    population.configure()
    population.write({"people": 100, "sessions": 200})
    all_acts = acts.Acts(get_wsgi_application())
    with all_acts.until_exit:
        costs = {step: cost for name in all_acts.names for step, cost in all_acts.run(name, 1).items()}
    steps = {step: cost for step, cost in costs.items() if not step.startswith("  ")}
    assert [step.partition(": ")[2] for step in steps if step.startswith("login")] == [
        "GET /authorize",
        "GET /login",
        "POST /login",
        "POST /oauth/token",
    ]
    assert {step.partition(":")[0] for step in steps} == set(all_acts.names)
    assert all(cost["sql"] > 0 and cost["backend"] >= 0 for cost in steps.values())
