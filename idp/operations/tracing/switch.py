"""Whether this process traces. `traces` is None unless it does, and that is all that anybody asks on the way of a request."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import structlog

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from idp.operations.tracing.sdk import Traces

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
OURS = "http/protobuf"
MISSING = (
    'An OTLP endpoint is set, but the packages for it are not installed. Install them: pip install "curfew[tracing]".'
)
KEY = "traceparent"  # in the data of an event, and as a header (W3C Trace Context)

traces: Traces | None = None


def wanted() -> bool:
    """Whether the environment asks for traces."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return any(os.environ.get(name) for name in ENDPOINTS)


def start() -> None:
    """At the start of a process that serves or works, once it has forked. What keeps it from tracing is said, and it goes on
    without."""
    global traces  # the one switch
    if not wanted() or traces is not None:
        return
    if (protocol := _protocol()) != OURS:
        log.error("tracing.off", reason=f"{protocol} is not spoken. Leave {PROTOCOLS[1]} away or set it to {OURS}.")
        return
    try:
        from idp.operations.tracing import sdk
    except ImportError as error:
        log.error("tracing.off", reason=MISSING, missing=error.name)
        return
    try:
        traces = sdk.begin()
    except ValueError as error:
        log.error("tracing.off", reason=f"A variable that begins with OTEL_ cannot be read: {error}")


def _protocol() -> str:
    return next((said for name in PROTOCOLS if (said := os.environ.get(name))), OURS)


def kept() -> dict[str, str]:
    """Where we are in a trace, for whoever goes on with it later; nothing if this is traced by nobody."""
    here = traces.here() if traces is not None else ""
    return {KEY: here} if here else {}


def act(
    name: str, describe: Callable[[Span, T, Mapping[str, Any]], None]
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A function that is a span of its own. `describe` says of it what it gave, and what it was asked by name."""

    def around(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            if traces is None:
                return function(*args, **kwargs)
            with traces.act(name) as span:
                result = function(*args, **kwargs)
                describe(span, result, kwargs)
            return result

        return wrapper

    return around
