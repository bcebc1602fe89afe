"""Headers that every answer carries unless a view decided otherwise, and the line of the log about every request."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

from idp.masking import mask
from idp.requests import client_ip

DEFAULTS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",  # pages that an SDK opens in a popup say unsafe-none
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class HeadersMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if 300 <= response.status_code < 400:  # no document to protect, and a popup would lose its opener on the way
            response.headers.setdefault("Cross-Origin-Opener-Policy", "unsafe-none")
        for name, value in DEFAULTS.items():
            response.headers.setdefault(name, value)
        return response


class RequestLogMiddleware(RequestMiddleware):
    """django-structlog's, but it writes no query and no user.

    Codes, hints, states and addresses travel in queries; a user's id would cost every request a session lookup.
    """

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {mask(request.path)}"

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        structlog.contextvars.bind_contextvars(ip=client_ip(request))

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        """Nothing: see the class."""
