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
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.exception import response_for_exception
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from django_structlog.middlewares import RequestMiddleware

from idp.http.requests import client_ip
from idp.operations.masking import mask

DEFAULTS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",  # pages that an SDK opens in a popup say unsafe-none
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
FOR_DOCUMENTS = (
    "Content-Security-Policy",
    "Reporting-Endpoints",
    "X-Frame-Options",
    "Permissions-Policy",
)  # redirects go without
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
        found = _program(request.path_info)
        if found is None:
            return self.get_response(request)
        try:
            response = _call(request, *found)
        except Exception as error:  # noqa: BLE001  as around every middleware
            response = response_for_exception(request, error)  # which logs it; here for the headers below
        if response.status_code == 405 and not response.content:
            response = _not_allowed(response)
        response.headers.setdefault("Content-Length", str(len(response.content)))
        for name, value in FOR_PROGRAMS.items():
            response.headers.setdefault(name, value)
        return response


def _not_allowed(response: HttpResponse) -> HttpResponse:
    """Django's own answer has no words. Whoever may read it (CORS) may read ours."""
    description = f"This endpoint takes {response.headers['Allow']} only."
    body = {"error": "invalid_request", "error_description": description}
    answer = JsonResponse(body, status=405, headers={"Cache-Control": "no-store"})
    for name, value in response.headers.items():
        answer.headers.setdefault(name, value)
    return answer


def _call(request: HttpRequest, view: Callable[..., HttpResponse], parameters: dict[str, Any]) -> HttpResponse:
    request.get_host()  # refuses a Host that is not ours, as CommonMiddleware does for pages
    return view(request, **parameters)


def _program(path: str) -> tuple[Callable[..., HttpResponse], dict[str, Any]] | None:
    """The marked view of this path and what the path says to it. Only below a marked path is Django's resolver asked twice."""
    root = get_resolver()
    known, beginnings = _programs(root)
    if view := known.get(path):
        return view, {}
    if not path.startswith(beginnings):
        return None
    try:
        match = root.resolve(path)
    except Resolver404:
        return None
    return (match.func, match.kwargs) if getattr(match.func, "for_programs", False) else None


@functools.cache
def _programs(root: URLResolver) -> tuple[dict[str, Callable[..., HttpResponse]], tuple[str, ...]]:
    """The marked views whose path is always the same, and how the paths of all others begin."""
    marked = [entry for entry in _views(root, "") if getattr(entry[1], "for_programs", False)]
    if by_expression := [view.__qualname__ for path, view in marked if "^" in path]:
        raise ImproperlyConfigured(
            f"{by_expression[0]} is for programs: give it a path(), whose beginning can be read."
        )
    known = {f"/{path}": view for path, view in marked if "<" not in path}
    return known, tuple({f"/{path.partition('<')[0]}" for path, _ in marked if "<" in path})


def _views(resolver: URLResolver, path: str) -> Iterator[tuple[str, Callable[..., HttpResponse]]]:
    """Every view with its whole pattern; that of a regular expression has a ^ in it."""
    for entry in resolver.url_patterns:
        more = path + (str(entry.pattern) if isinstance(entry.pattern, RoutePattern) else f"^{entry.pattern}")
        if isinstance(entry, URLPattern):
            yield more, entry.callback
        else:
            yield from _views(entry, more)
