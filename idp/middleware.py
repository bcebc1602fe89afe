"""Headers that every answer carries unless a view decided otherwise, the line of the log about every request, and the short
way to the endpoints for programs."""

from __future__ import annotations

import functools
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver
from django_structlog.middlewares import RequestMiddleware

from idp.masking import mask
from idp.requests import client_ip

DEFAULTS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",  # pages that an SDK opens in a popup say unsafe-none
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
FOR_DOCUMENTS = ("Content-Security-Policy", "X-Frame-Options", "Permissions-Policy")  # redirects go without
PROBES = {"/livez", "/readyz", "/metrics"}
FOR_PROGRAMS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
_LINES = logging.getLogger("django_structlog.middlewares.request")
View = TypeVar("View", bound=Callable[..., HttpResponse])


class ProbesMiddleware:
    """Probes and Prometheus ask by address, so what they ask is answered whatever Host says; the name that they used is
    kept (`asked_host`)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info in PROBES:
            request.asked_host = request.META.get("HTTP_HOST", "")  # type: ignore[attr-defined]  # for `asked_host`
            request.META["HTTP_HOST"] = settings.ISSUER_PARTS.netloc
        return self.get_response(request)


def asked_host(request: HttpRequest) -> str:
    """The Host header that a probe came with; "" for any other request, whose own is what it says."""
    host: str = getattr(request, "asked_host", "")
    return host


class HeadersMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if 300 <= response.status_code < 400:
            return _redirected(response)
        for name, value in DEFAULTS.items():
            response.headers.setdefault(name, value)
        return response


def _redirected(response: HttpResponse) -> HttpResponse:
    """Without what protects a document: there is none, and a proxy may have 4 kB for the address and all other headers.

    A popup would lose its opener on the way, so that policy is said.
    """
    response.headers.setdefault("Cross-Origin-Opener-Policy", "unsafe-none")
    for name in FOR_DOCUMENTS:
        if name in response.headers:
            del response.headers[name]
    for name in ("Cache-Control", "Cross-Origin-Resource-Policy"):
        response.headers.setdefault(name, DEFAULTS[name])
    return response


class RequestLogMiddleware(RequestMiddleware):
    """django-structlog's, but it writes no query and no user.

    Codes, hints, states and addresses travel in queries; a user's id would cost every request a session lookup. To make
    lines that nobody will see costs more than to ask before; what a request says itself carries its id and address anyway.
    """

    def prepare(self, request: HttpRequest) -> None:
        if _LINES.isEnabledFor(logging.INFO):
            super().prepare(request)
        else:
            structlog.contextvars.bind_contextvars(request_id=str(uuid.uuid4()), ip=client_ip(request))

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        if response.status_code >= 400 or response.streaming or _LINES.isEnabledFor(logging.INFO):
            super().handle_response(request, response)
        else:
            structlog.contextvars.clear_contextvars()

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {mask(request.path)}"

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        structlog.contextvars.bind_contextvars(ip=client_ip(request))

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        """Nothing: see the class."""


def for_programs(view: View) -> View:
    """Mark a view that reads no cookie and answers with no page: `ProgramsMiddleware` calls it."""
    view.for_programs = True  # type: ignore[attr-defined]
    return view


class ProgramsMiddleware:
    """The endpoints for programs skip what follows here: sessions, CSRF, messages, frames and allauth are for pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = _programs(get_resolver()).get(request.path_info)
        if view is None:
            return self.get_response(request)
        request.get_host()  # refuses a Host that is not ours, as CommonMiddleware does for pages
        response: HttpResponse = view(request)
        response.headers.setdefault("Content-Length", str(len(response.content)))
        for name, value in FOR_PROGRAMS.items():
            response.headers.setdefault(name, value)
        return response


@functools.cache
def _programs(root: URLResolver) -> dict[str, Callable[..., Any]]:
    """The views that are marked, by path. One whose path has parameters is served with the pages."""
    views = ((path, view) for path, view in _views(root, "") if not {"<", "("} & set(path))
    return {path: view for path, view in views if getattr(view, "for_programs", False)}


def _views(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    path = f"{prefix}{resolver.pattern}".replace("^/", "/")
    for entry in resolver.url_patterns:
        if isinstance(entry, URLPattern):
            yield f"{path}{entry.pattern}", entry.callback
        else:
            yield from _views(entry, path)
