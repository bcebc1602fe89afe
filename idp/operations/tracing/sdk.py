"""What is done with OpenTelemetry: spans, and the header that carries them on. Exported in batches by a thread, never by who
is traced: a collector that hangs costs spans, no request and no delivery."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from idp.operations.tracing.switch import KEY

SERVICE = "curfew"
TIMEOUT = 3.0  # seconds of an export; a process that ends waits for the last one
TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
_HEADERS = TraceContextTextMapPropagator()  # no baggage: it is whatever somebody wrote into it


class Traces:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def request(self, method: str, carrier: Mapping[str, str]) -> Iterator[Span]:
        """We answer. `carrier`: the headers of who is believed about the trace."""
        with self._span(method, SpanKind.SERVER, _HEADERS.extract(carrier, Context())) as span:
            yield span

    @contextmanager
    def attempt(self, name: str, traceparent: str) -> Iterator[Span]:
        """We ask, maybe hours after what `traceparent` names, in the same trace. "": in a trace of its own."""
        with self._span(name, SpanKind.CLIENT, _HEADERS.extract({KEY: traceparent}, Context())) as span:
            yield span

    @contextmanager
    def act(self, name: str) -> Iterator[Span]:
        """Within what is traced already, if anything is."""
        with self._span(name, SpanKind.INTERNAL, None) as span:
            yield span

    def here(self) -> str:
        """The span that is under way, as a `traceparent`; "" without one."""
        carrier: dict[str, str] = {}
        _HEADERS.inject(carrier)
        return carrier.get(KEY, "")

    @contextmanager
    def _span(self, name: str, kind: SpanKind, context: Context | None) -> Iterator[Span]:
        """Of an exception the name only: its text may hold what nobody may collect."""
        with self._tracer.start_as_current_span(
            name, context, kind, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as error:
                self.failed(span, type(error).__name__)
                raise

    @staticmethod
    def failed(span: Span, kind: str) -> None:
        span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR))


def begin() -> Traces:
    """Sampler, limits, batches and exporter are as OpenTelemetry's variables say. Raises ValueError for one that cannot be."""
    provider = TracerProvider(resource=_resource())
    timeout = None if any(os.environ.get(name) for name in TIMEOUTS) else TIMEOUT
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=timeout)))
    return Traces(provider.get_tracer(SERVICE))


def _resource() -> Resource:
    found = Resource.create()
    named = str(found.attributes.get("service.name", "unknown_service"))
    return found.merge(Resource({"service.name": SERVICE})) if named.startswith("unknown_service") else found
