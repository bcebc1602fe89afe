"""What is done with OpenTelemetry: spans, and the header that carries them on. Exported in batches by a thread, never by who
is traced: a collector that hangs costs spans, no request and no delivery."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from time import monotonic

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from idp.operations.tracing.switch import KEY

SERVICE = "curfew"
TIMEOUT = 3.0  # seconds of an export, and for how long a process that ends begins others
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


class EndingExporter(OTLPSpanExporter):
    """OTLP over HTTP. A full queue is four batches, for each of which a process that ends would wait for a hung collector."""

    _until = inf

    def end(self) -> None:
        self._until = monotonic() + TIMEOUT

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return super().export(spans) if monotonic() < self._until else SpanExportResult.FAILURE


def begin() -> Traces:
    """Sampler, limits, batches and exporter are as OpenTelemetry's variables say. Raises ValueError for one that cannot be."""
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    timeout = None if any(os.environ.get(name) for name in TIMEOUTS) else TIMEOUT
    exporter = EndingExporter(timeout=timeout)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    atexit.register(_end, exporter, provider)
    return Traces(provider.get_tracer(SERVICE))


def _end(exporter: EndingExporter, provider: TracerProvider) -> None:
    exporter.end()
    provider.shutdown()


def _resource() -> Resource:
    found = Resource.create()
    named = str(found.attributes.get("service.name", "unknown_service"))
    return found.merge(Resource({"service.name": SERVICE})) if named.startswith("unknown_service") else found
