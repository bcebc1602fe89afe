"""A span for each request that is no probe. It stands among the middlewares only if traces are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from idp.http.middleware import PROBES
from idp.http.requests import is_from_trusted_proxy
from idp.operations.tracing import switch

if TYPE_CHECKING:
    from opentelemetry.trace import Span

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
OTHER = "_OTHER"  # of the semantic conventions: strangers make no names here
HEADERS = ("traceparent", "tracestate")


class TracingMiddleware:
    """After the one that gives the request its id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        traces = switch.traces
        if traces is None or request.path_info in PROBES:
            return self.get_response(request)
        request_id = structlog.contextvars.get_contextvars().get("request_id", "")
        with traces.request(_method(request), _carrier(request)) as span:
            response = self.get_response(request)
            if span.is_recording():
                _describe(span, request, response, request_id)
                if response.status_code >= 500:
                    traces.failed(span, str(response.status_code))
        return response


def _carrier(request: HttpRequest) -> dict[str, str]:
    """Of proxies of ours only: else strangers could make us keep what they ask for, and mix into traces of others."""
    if not is_from_trusted_proxy(request):
        return {}
    return {name: request.headers[name] for name in HEADERS if name in request.headers}


def _method(request: HttpRequest) -> str:
    return request.method if request.method in METHODS else OTHER


def _describe(span: Span, request: HttpRequest, response: HttpResponse, request_id: str) -> None:
    """The route, never the path or the query, which hold codes, hints and links of mails; and nothing of the client."""
    method, route = _method(request), _route(request)
    span.update_name(f"{method} {route}" if route else method)
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.response.status_code", response.status_code)
    span.set_attribute("curfew.request_id", request_id)
    if route:
        span.set_attribute("http.route", route)


def _route(request: HttpRequest) -> str:
    """The pattern that the path has matched; programs are answered before Django has asked for it."""
    match = request.resolver_match
    if match is None:
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return ""
    return f"/{match.route}"
