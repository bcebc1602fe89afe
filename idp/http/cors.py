"""CORS of the token endpoints: exact origins that an application registered, never credentials, never `*`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from idp.models import Application
from idp.tenants import configuration

P = ParamSpec("P")
ALLOWED_HEADERS = "Authorization, Content-Type, Auth0-Client, DPoP"
EXPOSED_HEADERS = "WWW-Authenticate, DPoP-Nonce"
MAX_AGE = 600  # seconds that a browser may remember the preflight
_ORIGINS = configuration.Memo[frozenset[str]]("registered origins")


def registered_origins(snapshot: configuration.Snapshot) -> frozenset[str]:
    """Every origin that any enabled application registered; loaded once per version of the configuration."""
    return snapshot.derived(_ORIGINS, _load_origins)


def _load_origins() -> frozenset[str]:
    rows = Application.objects.filter(enabled=True)
    return frozenset(origin for row in rows for origin in row.usable.cors_origins)


def cross_origin(
    *methods: str,
) -> Callable[
    [Callable[Concatenate[HttpRequest, P], HttpResponse]], Callable[Concatenate[HttpRequest, P], HttpResponse]
]:
    """Answer preflights, and let scripts of registered origins read the answers, errors too.

    A request without an Origin header, as servers send it, costs nothing here.
    """
    allowed = ", ".join((*methods, "OPTIONS"))

    def decorate(
        view: Callable[Concatenate[HttpRequest, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @functools.wraps(view)
        def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            preflight = request.method == "OPTIONS"
            response = HttpResponse(status=204) if preflight else view(request, *args, **kwargs)
            if preflight:
                response.headers["Allow"] = allowed
            patch_vary_headers(response, ("Origin",))
            origin = request.headers.get("Origin", "")
            if origin and origin in registered_origins(configuration.current()):
                response.headers["Access-Control-Allow-Origin"] = origin
                response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
                response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
                if preflight:
                    response.headers["Access-Control-Allow-Methods"] = allowed
                    response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
                    response.headers["Access-Control-Max-Age"] = str(MAX_AGE)
            return response

        return wrapped

    return decorate
