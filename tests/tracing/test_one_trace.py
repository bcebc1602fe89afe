"""With real processes: one trace from the request that ends a session to the POST that tells an application; and no module of
OpenTelemetry in a process that does not trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from django.conf import settings

from logout_app.models import LogoutEvent
from tests.delivery.conftest import receiver  # noqa: F401  the same fixture
from tests.support.factories import make_application, make_session, make_user
from tests.support.processes import Installation
from tests.support.receiver import wait_until
from tests.tracing.collector import Collector

OUT = "https://app.example/out"
TRACE, OUTER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NAMES = ("GET /v2/logout", "end_sessions", "tell backchannel")
# What the web server and the worker load, and a request with a header that nobody reads. `switch.start()`: as both do.
LOADED = """
import sys
if %r:
    sys.modules["opentelemetry"] = None  # as if it were not installed: whoever imports it fails
import django
import idp.wsgi, idp.celery, logout_app.worker.process
from django.test import Client
from idp.operations.tracing import switch
switch.start()
assert Client(headers={"traceparent": "00-%s-%s-01"}).get("/livez").status_code == 200
loaded = {name for name, module in sys.modules.items() if module is not None}
ours = {"idp.operations.tracing.sdk", "idp.operations.tracing.middleware"}
if %r:
    print(sorted(name for name in loaded if name in ours or name.startswith("opentelemetry")))
else:  # redis-py looks for its metrics by itself
    print(sorted(name for name in loaded if name in ours or name.startswith(
        ("opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf"))))
"""


@pytest.mark.django_db(transaction=True)
def test_one_trace_leads_from_the_request_to_the_post(tmp_path, receiver):  # noqa: F811
    mary = make_user(email="mary@fabrikamcorp.com")
    app = make_application("App", backchannel_logout_uri=receiver.url("app"), post_logout_redirect_uris=OUT)
    session = make_session(mary, app)
    with (
        Collector() as collector,
        Installation(
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_BSP_SCHEDULE_DELAY="200",
            CURFEW_TRACE_DELIVERIES="1",
            CURFEW_TRUSTED_PROXIES="127.0.0.1/32",
        ) as installation,
    ):
        installation.worker(wait=False)  # the queue waits for it
        installation.web()
        answer = requests.get(
            f"http://localhost:{installation.port}/v2/logout",
            params={"client_id": app.client_id, "returnTo": OUT},
            cookies={settings.SSO_COOKIE_NAME: session.raw_cookie},
            headers={"traceparent": f"00-{TRACE}-{OUTER}-01"},
            allow_redirects=False,
            timeout=20,
        )
        assert (answer.status_code, answer.headers["Location"]) == (302, OUT)
        wait_until(lambda: all(collector.spans(name) for name in NAMES), 90, "a span is missing")

    request, act, attempt = (collector.spans(name)[0] for name in NAMES)
    assert [each.trace for each in (request, act, attempt)] == [TRACE] * 3
    assert (request.parent, act.parent, attempt.parent) == (OUTER, request.id, act.id)
    assert {each.service for each in collector.spans()} == {"curfew"}
    event = LogoutEvent.objects.get()
    assert event.data == {"traceparent": f"00-{TRACE}-{act.id}-01"}
    assert receiver.posts("app")[0]["headers"]["traceparent"] == f"00-{TRACE}-{attempt.id}-01"

    assert request.attributes.pop("curfew.request_id")
    assert request.attributes.items() >= {
        ("http.request.method", "GET"),
        ("http.route", "/v2/logout"),
        ("http.response.status_code", 302),
    }
    assert act.attributes == {
        "curfew.initiator": event.initiator,
        "curfew.sessions_ended": 1,
        "curfew.deliveries": 1,
        "curfew.event": event.pk,
    }
    assert attempt.attributes == {
        "curfew.channel": "backchannel",
        "curfew.client_id": app.client_id,
        "curfew.attempt": 1,
        "curfew.outcome": "delivered",
        "http.response.status_code": 200,
    }
    everything = "".join(str(each.span) for each in collector.spans())
    for personal in (mary.email, mary.user_id, session.sid, session.raw_cookie, OUT):
        assert personal not in everything
    assert "livez" not in everything
    assert "readyz" not in everything


@pytest.mark.once
@pytest.mark.parametrize(
    ("is_missing", "asked"),
    [(True, {}), (False, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"})],
)
def test_without_traces_nothing_of_opentelemetry_is_loaded(is_missing: bool, asked: dict[str, str], tmp_path: Path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    env |= {"DJANGO_SETTINGS_MODULE": "idp.settings", "CURFEW_DATA": str(tmp_path), "REDIS_URL": "", **asked}
    argv = [sys.executable, "-c", LOADED % (is_missing, TRACE, OUTER, is_missing)]
    said = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-1] == "[]"
