"""What a span says and whom we believe about it; what is kept with an end, and that it costs no statement."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import Any

import pytest
import structlog
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from idp.operations.tracing import switch
from idp.operations.tracing.middleware import TracingMiddleware
from idp.operations.tracing.sdk import EndingExporter, Traces
from idp.outbound.many import Reply
from idp.protocol.initiators import Initiator
from logout_app.delivery import aside, outbox
from logout_app.delivery.channels.base import Message, Route
from logout_app.delivery.deliver import Job, send
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import LogoutEvent
from tests.support.factories import make_application, make_session, make_user
from tests.tracing.collector import Collector

TRACE, OUTER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAID = {"traceparent": f"00-{TRACE}-{OUTER}-01"}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """This process traces."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(switch, "traces", Traces(provider.get_tracer("test")))
    return exporter


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


# --- requests --------------------------------------------------------------------------------------------------------
def ask(path: str, status: int = 200, **more: Any) -> None:
    request = RequestFactory().generic(more.pop("method", "GET"), path, **more)
    structlog.contextvars.bind_contextvars(request_id="r-1")
    try:
        TracingMiddleware(lambda _: HttpResponse(status=status))(request)
    finally:
        structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v2/logout?returnTo=https://app.example&client_id=a", "GET /v2/logout"),
        ("POST", "/oauth/token", "POST /oauth/token"),
        ("GET", "/mary@fabrikamcorp.com", "GET"),  # no page of ours: strangers name no spans
        ("BREW", "/login", "_OTHER /login"),
    ],
)
def test_a_request_is_named_by_its_route(spans, method, path, name):
    ask(path, method=method)
    span = only(spans)
    assert span.name == name
    assert span.attributes["curfew.request_id"] == "r-1"
    assert "mary" not in span.to_json()
    assert "returnTo" not in span.to_json()


def test_a_link_of_a_mail_is_in_no_span(spans):
    ask("/.well-known/curfew/not-me/SECRET-OF-A-MAIL")
    ask("/invitations/SECRET-OF-A-MAIL/")
    assert all("SECRET" not in span.to_json() for span in spans.get_finished_spans())


@pytest.mark.parametrize(("status", "is_error"), [(302, False), (404, False), (503, True)])
def test_what_failed_here_is_an_error(spans, status, is_error):
    ask("/login", status)
    span = only(spans)
    assert span.attributes["http.response.status_code"] == status
    assert (span.status.status_code.name == "ERROR", "error.type" in span.attributes) == (is_error, is_error)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_probes_are_not_traced(spans, path):
    ask(path)
    assert spans.get_finished_spans() == ()


@pytest.mark.parametrize(
    ("proxies", "peer", "headers", "is_believed"),
    [
        (["10.0.0.0/8"], "10.1.2.3", SAID, True),
        (["10.0.0.0/8"], "192.0.2.1", SAID, False),
        ([], "127.0.0.1", SAID, False),
        (["10.0.0.0/8"], "", SAID, False),  # a socket of this machine: nobody knows who
        (["10.0.0.0/8"], "10.1.2.3", {"traceparent": "00-nonsense-01"}, False),
        (["10.0.0.0/8"], "10.1.2.3", {"traceparent": f"00-{'0' * 32}-{OUTER}-01"}, False),
    ],
)
def test_only_proxies_of_ours_are_believed_about_a_trace(spans, settings, proxies, peer, headers, is_believed):
    settings.TRUSTED_PROXIES = proxies
    ask("/login", REMOTE_ADDR=peer, headers=headers)
    span = only(spans)
    assert (f"{span.context.trace_id:032x}" == TRACE) is is_believed
    assert (span.parent is not None) is is_believed


# --- ends ------------------------------------------------------------------------------------------------------------
def end(selection: Selection, **more: Any) -> LogoutEvent:
    with CaptureQueriesContext(connection) as statements:
        ended = end_sessions(selection, initiator=Initiator.SESSION_REVOKED, actor="admin:1", at=timezone.now(), **more)
    assert ended.event is not None
    event = LogoutEvent.objects.get(pk=ended.event.pk)
    event.statements = len(statements)
    return event


@pytest.mark.django_db
@pytest.mark.parametrize("everything", [False, True])
def test_an_end_keeps_its_trace_without_a_statement_more(spans, monkeypatch, everything):
    app = make_application("App", backchannel_logout_uri="https://app.example/out")

    def selection(email: str) -> Selection:
        session = make_session(make_user(email=email), app)
        return Selection.user(session.user_id) if everything else Selection.session(session.pk)

    traced = end(selection("mary@fabrikamcorp.com"), offline_tokens=everything)
    span = only(spans)
    with monkeypatch.context() as off:
        off.setattr(switch, "traces", None)
        untraced = end(selection("tom@fabrikamcorp.com"), offline_tokens=everything)
    flags = f"{span.context.trace_flags:02x}"
    assert traced.data == {"traceparent": f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{flags}"}
    assert untraced.data == {}
    assert traced.statements == untraced.statements
    assert span.attributes["curfew.sessions_ended"] == 1
    assert len(spans.get_finished_spans()) == 1

    at, lease = timezone.now(), timedelta(seconds=5)
    room = {"channels": ["backchannel"], "rooms": {}, "cap": 9}
    with CaptureQueriesContext(connection) as statements:
        first, second = outbox.claim(limit=9, at=at, lease=lease, **room)
    assert len(statements) == 1
    assert (first.traceparent, second.traceparent) == (traced.data["traceparent"], "")
    again = aside.claim_one_by_one(limit=9, at=at + 2 * lease, lease=lease, **room)
    assert [row.traceparent for row in again] == [first.traceparent, ""]
    with monkeypatch.context() as off:
        off.setattr(switch, "traces", None)
        assert [row.traceparent for row in outbox.claim(limit=9, at=at + 4 * lease, lease=lease, **room)] == ["", ""]


@pytest.mark.django_db
def test_an_end_that_fails_says_the_kind_of_error_only(spans):
    with pytest.raises(KeyError):
        end_sessions(
            Selection("id = %(nobody)s", {"MARY": 1}),
            initiator=Initiator.SESSION_REVOKED,
            actor="user",
            at=timezone.now(),
            offline_tokens=False,
        )
    span = only(spans)
    assert (span.status.status_code.name, span.attributes["error.type"]) == ("ERROR", "KeyError")
    assert span.events == ()
    assert "nobody" not in span.to_json()


# --- attempts --------------------------------------------------------------------------------------------------------
class Recording:
    """In place of the fan-out: keeps the headers, and answers as it is told."""

    def __init__(self, reply: Reply) -> None:
        self.reply, self.headers = reply, []

    async def post(self, url, body, headers, **_):
        self.headers.append(dict(headers))
        return self.reply


def attempt(reply: Reply, traceparent: str = "", refusal: str | None = None) -> Recording:
    now = timezone.now()
    row = outbox.Claimed(
        *(
            1,
            1,
            1,
            "application:1",
            1,
            "app",
            "auth0|mary",
            "s-1",
            "backchannel",
            now,
            None,
            "rp-logout",
            1,
            traceparent,
        )
    )
    route = Route("https://app.example/out", refusal, lambda *_: Message(b"", {"Accept": "*/*"}, "jti"))
    fanout = Recording(reply)
    asyncio.run(send(Job(row, route), fanout))
    return fanout


@pytest.mark.parametrize(
    ("reply", "refusal", "outcome", "status", "is_error"),
    [
        (Reply(200), None, "delivered", 200, False),
        (Reply(503, body="for mary@fabrikamcorp.com"), None, "retry", 503, True),
        (Reply(error="connect", detail="refused"), None, "retry", None, True),
        (Reply(), "is a private address", "retry", None, True),
    ],
)
def test_an_attempt_says_what_came_of_it(spans, reply, refusal, outcome, status, is_error):
    attempt(reply, SAID["traceparent"], refusal)
    span = only(spans)
    assert (span.name, span.kind.name) == ("tell backchannel", "CLIENT")
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, OUTER)
    assert (span.attributes["curfew.client_id"], span.attributes["curfew.outcome"]) == ("app", outcome)
    assert span.attributes.get("http.response.status_code") == status
    assert (span.status.status_code.name == "ERROR") is is_error
    assert "mary" not in span.to_json()


def test_an_application_hears_of_a_trace_only_if_the_operator_says_so(spans, settings, monkeypatch):
    settings.TRACE_DELIVERIES = False
    assert attempt(Reply(200), SAID["traceparent"]).headers == [{"Accept": "*/*"}]
    settings.TRACE_DELIVERIES = True
    (headers,) = attempt(Reply(200), SAID["traceparent"]).headers
    span = spans.get_finished_spans()[-1]
    assert headers == {"Accept": "*/*", "traceparent": f"00-{TRACE}-{span.context.span_id:016x}-01"}
    attempt(Reply(200))  # of an end that was not traced
    assert spans.get_finished_spans()[-1].parent is None
    monkeypatch.setattr(switch, "traces", None)
    assert attempt(Reply(200), SAID["traceparent"]).headers == [{"Accept": "*/*"}]


# --- start and end ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "is_wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SERVICE_NAME": "id"}, False),
    ],
)
def test_the_variables_decide(monkeypatch, asked, is_wanted):
    for name in (*switch.ENDPOINTS, "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    assert switch.wanted() is is_wanted


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "grpc is not spoken"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "cannot be read"),
        ("packages", "missing", 'pip install "curfew[tracing]"'),
    ],
)
def test_what_keeps_a_process_from_tracing_is_said_and_it_goes_on(monkeypatch, variable, value, said):
    lines = []
    monkeypatch.setattr(switch, "log", type("Log", (), {"error": lambda *_, **line: lines.append(line["reason"])})())
    monkeypatch.setattr(switch, "traces", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, value)
    if variable == "packages":
        monkeypatch.delitem(sys.modules, "idp.operations.tracing.sdk")
        monkeypatch.delattr("idp.operations.tracing.sdk")
        monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    switch.start()
    assert switch.traces is None
    assert [said in line for line in lines] == [True]


def test_a_process_that_ends_begins_no_exports_for_ever(spans, monkeypatch):
    monkeypatch.setattr("idp.operations.tracing.sdk.TIMEOUT", 0.0)
    ask("/login")
    with Collector() as collector:
        exporter = EndingExporter(endpoint=f"{collector.url}/v1/traces")
        assert exporter.export(spans.get_finished_spans()) is SpanExportResult.SUCCESS
        exporter.end()
        assert exporter.export(spans.get_finished_spans()) is SpanExportResult.FAILURE
        assert len(collector.spans()) == 1
